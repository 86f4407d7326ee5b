"""What a network computes just before its decision."""

from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neurokd.figures.cast import Unsuited
from neurokd.inputs import to_input
from neurokd.spiking import SpikingNetwork
from neurokd.taps import Point, Recorder, tapped

FloatArray = npt.NDArray[np.float64]
BATCH = 256


@torch.no_grad()
def classifier_layer(model: nn.Module, images: torch.Tensor) -> Point:
    """The last call of an `nn.Linear` in a pass of `images` `[B, C, H, W]` in [0, 1]: the one that gives the logits.

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
        logits = model(images)
    finally:
        for handle in handles:
            handle.remove()
    if not seen or seen[-1].shape != tuple(logits.shape[-1:]):
        raise Unsuited("its logits do not come from an nn.Linear, whose input would be shown")
    return seen[-1]


@torch.no_grad()
def last_features(model: nn.Module, images: torch.Tensor) -> FloatArray:
    """Input of the classifier layer, averaged over T: `[N, F]` for images `[N, C, H, W]` (uint8).

    Raises Unsuited for a model without such a layer.
    """
    recorder = Recorder(model, [classifier_layer(model, to_input(images[:2]))], "before")
    rows = []
    try:
        for start in range(0, len(images), BATCH):
            model(to_input(images[start : start + BATCH]))
            rows.append(over_time(model, recorder.features[0]).flatten(1))
    finally:
        recorder.close()
    features: FloatArray = torch.cat(rows).double().numpy()
    return features


def over_time(model: nn.Module, feature: torch.Tensor) -> torch.Tensor:
    """The mean over T of a spiking network's feature `[T, B, ...]`; an ANN's `[B, ...]` as it is."""
    return feature.mean(dim=0) if isinstance(model, SpikingNetwork) else feature
