"""Firing rates of the first layer of neurons, position by position (HSD's maps at t = 1 and t = T)."""

from dataclasses import dataclass

import torch
from torch import nn

from neurokd.conversion import ThresholdNeurons
from neurokd.figures.cast import Unsuited
from neurokd.spiking import LIFNeurons
from neurokd.taps import Point, Recorder, activations, module_at


@dataclass(frozen=True, eq=False)
class RateMaps:
    """Rates `[B, C, H, W]` in spikes per step of the layer at `path`: in step 1, and the mean of all T steps."""

    path: str
    first: torch.Tensor
    mean: torch.Tensor

    def liveliest(self, count: int) -> list[int]:
        """The `count` channels whose rate differs most between positions and images, in rising order."""
        spread = self.mean.std(dim=(0, 2, 3), correction=0)
        order = torch.argsort(spread, descending=True, stable=True)[:count]
        return sorted(int(channel) for channel in order)


@torch.no_grad()
def rate_maps(model: nn.Module, images: torch.Tensor) -> RateMaps:
    """Rates of the first layer of neurons for images or frames (`to_input`): `(1/t) sum_{u<=t} s[u]` at t = 1 and T.

    Spikes of 0 or 1 are counted, also where neurons pass on the value of their threshold instead.
    Raises Unsuited for a network without neurons, or whose first neurons form no map.
    """
    point = _first_neurons(model, images)
    recorder = Recorder(model, [point], "after")
    try:
        model(images)
        spikes = recorder.features[0]
    finally:
        recorder.close()
    return RateMaps(point.path, spikes[0], spikes.mean(dim=0))


def _first_neurons(model: nn.Module, images: torch.Tensor) -> Point:
    for point in activations(model, images):
        module = module_at(model, point.path)
        if not isinstance(module, LIFNeurons | ThresholdNeurons):
            continue
        if len(point.shape) != 3:
            raise Unsuited(f"its first neurons '{point.path}' form no map")
        inner = ".spikes" if isinstance(module, ThresholdNeurons) else ""
        return Point(point.path + inner, point.call, point.shape)
    raise Unsuited("it has no spiking neurons")
