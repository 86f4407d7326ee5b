"""Feature maps at the end of a stage."""

from dataclasses import dataclass

import torch
from torch import nn

from neurokd.figures.cast import Unsuited
from neurokd.figures.features import over_time
from neurokd.taps import Recorder, activations, stages


@dataclass(frozen=True, eq=False)
class StageMaps:
    """Features `[B, k, h, w]` of the first channels at `path`, of a spiking network averaged over T."""

    path: str
    maps: torch.Tensor


@torch.no_grad()
def stage_maps(model: nn.Module, images: torch.Tensor, stage: int, channels: int) -> StageMaps:
    """The first `channels` channels at the end of `stage` (from 1) for images `[B, C, H, W]` in [0, 1].

    Raises Unsuited for a network with fewer stages of feature maps.
    """
    ends = [point for point in stages(activations(model, images)) if len(point.shape) == 3]
    if stage > len(ends):
        raise Unsuited(f"it has {len(ends)} stages of feature maps, stage {stage} was asked for")
    recorder = Recorder(model, [ends[stage - 1]], "after")
    try:
        model(images)
        feature = over_time(model, recorder.features[0])
    finally:
        recorder.close()
    return StageMaps(ends[stage - 1].path, feature[:, :channels])
