"""Write neurons with a trained threshold as plain neurons and a scale, the two things that NIR has."""

from collections import OrderedDict

import torch
from torch import nn

from neurokd.conversion import ThresholdNeurons
from neurokd.spiking import LIFNeurons
from neurokd.swap import swap


class Scale(nn.Module):
    """Multiply by one number, the value of a spike."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape to the same shape."""
        return x * self.value

    def extra_repr(self) -> str:
        """The number, for `print(model)`."""
        return f"{self.value:g}"


def split_thresholds(net: nn.Module) -> nn.Module:
    """Return a copy of `net` without `ThresholdNeurons`.

    `theta * spikes(x / theta)` with threshold v is `theta * spikes(x)` with threshold `theta v`: a layer at
    path p becomes the LIF neurons `p.spikes` and the scale `p.value`.
    """
    return swap(net, ThresholdNeurons, lambda path, layer: _split(layer))[0]


def _split(layer: ThresholdNeurons) -> nn.Sequential:
    theta, p = layer.threshold.item(), layer.spikes.lif
    neurons = LIFNeurons(p.model_copy(update={"threshold": theta * p.threshold}), layer.spikes.axis)
    return nn.Sequential(OrderedDict(spikes=neurons, value=Scale(theta)))
