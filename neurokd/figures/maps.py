"""Feature maps at the end of a stage."""

from dataclasses import dataclass

import torch
from torch import nn

from neurokd.evaluation import logits_per_step
from neurokd.figures.cast import Unsuited
from neurokd.figures.features import per_step
from neurokd.taps import Recorder, activations, stages


@dataclass(frozen=True, eq=False)
class StageMaps:
    """Features `[B, k, h, w]` of the first channels at `path`, averaged over steps or frames."""

    path: str
    maps: torch.Tensor


@torch.no_grad()
def stage_maps(model: nn.Module, images: torch.Tensor, stage: int, channels: int) -> StageMaps:
    """The first `channels` channels at the end of `stage` (from 1) for images or frames (`to_input`).

    Raises Unsuited for a network with fewer stages of feature maps.
    """
    ends = [point for point in stages(activations(model, images)) if len(point.shape) == 3]
    if stage > len(ends):
        raise Unsuited(f"it has {len(ends)} stages of feature maps, stage {stage} was asked for")
    recorder = Recorder(model, [ends[stage - 1]], "after")
    try:
        logits_per_step(model, images)
        feature = per_step(model, recorder.features[0], images).mean(dim=0)
    finally:
        recorder.close()
    return StageMaps(ends[stage - 1].path, feature[:, :channels])
