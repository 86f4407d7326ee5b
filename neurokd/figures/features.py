"""What a network computes just before its decision."""

from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neurokd.evaluation import logits_per_step
from neurokd.figures.cast import Unsuited
from neurokd.inputs import to_input
from neurokd.spiking import SpikingNetwork
from neurokd.taps import Point, Recorder, tapped

FloatArray = npt.NDArray[np.float64]
BATCH = 256  # images, or frames


@torch.no_grad()
def classifier_layer(model: nn.Module, images: torch.Tensor) -> Point:
    """The last call of an `nn.Linear` in a pass of `images` or frames (`to_input`): the one that gives the logits.

    Raises Unsuited where there is none, or where it gives another number than there are logits.

    >>> classifier_layer(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.zeros(1, 1, 2, 2))
    Point(path='1', call=0, shape=(2,))
    """
    seen: list[Point] = []

    def note(path: str, _module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        seen.append(Point(path, sum(point.path == path for point in seen), tuple(output.shape[1:])))

    linear = [(path, module) for path, module in tapped(model).named_modules() if isinstance(module, nn.Linear)]
    handles = [module.register_forward_hook(partial(note, path)) for path, module in linear]
    try:
        logits = logits_per_step(model, images)
    finally:
        for handle in handles:
            handle.remove()
    if not seen or seen[-1].shape != tuple(logits.shape[-1:]):
        raise Unsuited("its logits do not come from an nn.Linear, whose input would be shown")
    return seen[-1]


@torch.no_grad()
def last_features(model: nn.Module, images: torch.Tensor) -> FloatArray:
    """Input of the classifier layer, averaged over T: `[N, F]` for images `[N, C, H, W]` (uint8).

    Frames `[N, T, C, H, W]` are averaged over T in every network. Raises Unsuited for a model without such a layer.
    """
    recorder = Recorder(model, [classifier_layer(model, to_input(images[:2]))], "before")
    rows = []
    size = BATCH if images.ndim == 4 else max(1, BATCH // images.shape[1])
    try:
        for batch in images.split(size):
            inputs = to_input(batch)
            logits_per_step(model, inputs)
            rows.append(per_step(model, recorder.features[0], inputs).mean(dim=0).flatten(1))
    finally:
        recorder.close()
    features: FloatArray = torch.cat(rows).double().numpy()
    return features


def per_step(model: nn.Module, feature: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """A recorded feature as `[T, B, ...]`: of an ANN with T = 1, or the number of frames in `inputs`."""
    if isinstance(model, SpikingNetwork):
        return feature
    return feature.unflatten(0, inputs.shape[:2]) if inputs.ndim == 5 else feature.unsqueeze(0)
