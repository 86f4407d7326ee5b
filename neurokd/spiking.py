"""The activation swap: a plain torch ANN with `nn.ReLU` modules becomes a spiking network."""

import torch
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.neurons import LIF, lif
from neurokd.swap import swap


class TimeAxis:
    """How many steps a network runs; shared by its neurons, which unfold `[T*B, ...]` by it."""

    def __init__(self, timesteps: int) -> None:
        if timesteps < 1:
            raise NeurokdError(f"timesteps: got {timesteps}, allowed are 1 and more")
        self.timesteps = timesteps
        self.batch = 0  # images in the forward pass under way

    def steps_in(self, folded: torch.Tensor) -> int:
        """Steps in a tensor `[T*B, ...]` or, before any neuron made time, `[B, ...]` of the pass under way."""
        return 1 if folded.shape[0] == self.batch else self.timesteps


class LIFNeurons(nn.Module):
    """A layer of LIF neurons over a folded batch `[T*B, ...]`.

    Input `[B, ...]` is a current that does not change over the steps: the layer then creates time.
    """

    def __init__(self, parameters: LIF, axis: TimeAxis) -> None:
        super().__init__()
        self.lif = parameters
        self.axis = axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Current `[B, ...]` or `[T*B, ...]` to spikes `[T*B, ...]`."""
        spikes = lif(x.unflatten(0, (self.axis.steps_in(x), -1)), self.axis.timesteps, self.lif)
        return spikes.flatten(0, 1)

    @property
    def deployed(self) -> LIF:
        """The neuron as a chip runs it: behind an only step no reset matters, and the hard one is the chip's own."""
        return self.lif.hard() if self.axis.timesteps == 1 else self.lif

    def extra_repr(self) -> str:
        """Parameters for `print(model)`."""
        p = self.lif
        return f"decay={p.decay}, threshold={p.threshold}, reset={p.reset}, timesteps={self.axis.timesteps}"


class SpikingNetwork(nn.Module):
    """A torch network whose activations are spiking neurons.

    `net` is the converted copy of the ANN; its stateless layers see a folded batch. A static
    image `[B, C, H, W]` passes the layers before the first neuron once (dedupe); frames
    `[T, B, C, H, W]` pass them T times. Returns the logits of every step, `[T, B, classes]`.
    """

    def __init__(self, net: nn.Module, timesteps: int, axis: TimeAxis) -> None:
        super().__init__()
        self.net = net
        self.timesteps = timesteps
        self.axis = axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images `[B, C, H, W]` or frames `[T, B, C, H, W]` to logits `[T, B, classes]`."""
        frames = x.ndim == 5
        self.axis.batch = 0 if frames else x.shape[0]
        out = self.net(x.flatten(0, 1) if frames else x)
        return out.unflatten(0, (self.timesteps, -1))  # type: ignore[no-any-return]


def to_spiking(ann: nn.Module, neuron: LIF | None = None, timesteps: int = 4) -> SpikingNetwork:
    """Return a spiking copy of `ann`: every `nn.ReLU` module becomes a layer of LIF neurons.

    The weights are copied, `ann` is left as it is. Raises NeurokdError if there is no `nn.ReLU`
    module (an `F.relu` call inside a `forward` cannot be swapped) or `timesteps` < 1.

    >>> ann = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 10))
    >>> to_spiking(ann, LIF(decay=0.5), timesteps=2)(torch.rand(3, 1, 8, 8)).shape
    torch.Size([2, 3, 10])
    """
    axis = TimeAxis(timesteps)
    net, found = swap(ann, nn.ReLU, lambda path, relu: LIFNeurons(neuron or LIF(), axis))
    if not found:
        raise NeurokdError(
            f"model {type(ann).__name__}: no nn.ReLU module found to replace by spiking neurons; "
            "use nn.ReLU modules instead of F.relu calls"
        )
    return SpikingNetwork(net, timesteps, axis)
