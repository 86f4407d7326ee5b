"""From a ReLU network over QCFS to a spiking network that computes the same (HSD stage 1 to stage 2)."""

import math
from typing import Any

import torch
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.neurons import LIF
from neurokd.qcfs import QCFS
from neurokd.spiking import LIFNeurons, SpikingNetwork, TimeAxis
from neurokd.swap import swap

CONVERTED = LIF(decay=1.0, reset="soft", initial=0.5)  # HSD eq. 3, 4, 6, 7 and Alg. 1


class ThresholdNeurons(nn.Module):
    """LIF neurons with a trainable threshold theta, whose spikes carry the value theta (HSD eq. 3-7).

    `theta * spikes(x / theta)`: the module `spikes` works in units of theta and gives 0 or 1, so firing
    rates are counted there; what the next layer sees is 0 or theta.

    >>> ThresholdNeurons(LIFNeurons(CONVERTED, TimeAxis(4)), 2.0)(torch.tensor([[1.0]] * 4)).flatten().tolist()
    [2.0, 0.0, 2.0, 0.0]
    """

    def __init__(self, spikes: LIFNeurons, threshold: float) -> None:
        super().__init__()
        self.spikes = spikes
        self.threshold = nn.Parameter(torch.tensor(float(threshold)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Current `[B, ...]` or `[T*B, ...]` to spikes times theta, `[T*B, ...]`."""
        return self.threshold * self.spikes(x / self.threshold)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """Parameters for `print(model)`."""
        return f"threshold={self.threshold.item():g}"


def to_qcfs(ann: nn.Module, levels: int = 16, threshold: float = 8.0) -> nn.Module:
    """Return a copy of `ann` with QCFS for every `nn.ReLU` and average pooling for every max-pooling module.

    Every path gets a threshold of its own, which starts at `threshold`. Raises NeurokdError if there is no
    `nn.ReLU` module, or for a max-pooling that has no average counterpart.

    >>> to_qcfs(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), levels=4)[1]
    QCFS(levels=4, threshold=8)
    """
    net, found = swap(ann, nn.ReLU, lambda path, relu: QCFS(levels, threshold))
    if not found:
        raise NeurokdError(
            f"model {type(ann).__name__}: no nn.ReLU module found to replace by QCFS; "
            "use nn.ReLU modules instead of F.relu calls"
        )
    net, _ = swap(net, nn.MaxPool2d, _average)
    return swap(net, nn.AdaptiveMaxPool2d, lambda path, pool: nn.AdaptiveAvgPool2d(pool.output_size))[0]


def convert(qcfs_model: nn.Module, timesteps: int, neuron: LIF | None = None) -> SpikingNetwork:
    """Return the spiking copy of a QCFS network: `theta = s` for every layer, weights copied (HSD Alg. 1).

    `neuron` (default: `CONVERTED`, integrate-and-fire with soft reset from theta / 2) is in units of theta:
    its threshold 1 means theta. With the default a layer under a constant input gives exactly its QCFS value in
    T = `levels` steps; deeper layers see inputs that change, so the mean logits come close. More steps than levels
    come close to QCFS with T levels. The state of `qcfs_model` fits into `net`.
    Raises NeurokdError for a model without QCFS, a threshold that is not above 0, or `timesteps` < 1.

    >>> ann = to_qcfs(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 5)))
    >>> convert(ann, timesteps=6)(torch.rand(7, 2)).shape
    torch.Size([6, 7, 5])
    """
    axis = TimeAxis(timesteps)

    def neurons(path: str, qcfs: QCFS) -> ThresholdNeurons:
        threshold = qcfs.threshold.item()
        if not 0.0 < threshold < math.inf:
            raise NeurokdError(
                f"layer '{path}': its QCFS threshold is {threshold:g}, allowed is above 0; "
                "train with a smaller training.lr or a larger start value"
            )
        return ThresholdNeurons(LIFNeurons(neuron or CONVERTED, axis), threshold).to(qcfs.threshold.device)

    net, found = swap(qcfs_model, QCFS, neurons)
    if not found:
        raise NeurokdError(
            f"model {type(qcfs_model).__name__}: no QCFS layer found to convert; make a model with to_qcfs and train it"
        )
    return SpikingNetwork(net, timesteps, axis)


def _average(path: str, pool: nn.MaxPool2d) -> nn.AvgPool2d:
    if pool.dilation not in (1, (1, 1)) or pool.return_indices:
        raise NeurokdError(
            f"layer '{path}': max-pooling with dilation or indices has no average counterpart; use nn.AvgPool2d"
        )
    settings: dict[str, Any] = {"kernel_size": pool.kernel_size, "stride": pool.stride, "padding": pool.padding}
    return nn.AvgPool2d(**settings, ceil_mode=pool.ceil_mode)
