"""Holds the torch module that `onnx:FILE` becomes against onnxruntime on the file itself."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.export.onnx_graphs.float_network import TOLERANCE
from neurokd.export.onnx_graphs.run import OnnxFile
from neurokd.inputs import to_input
from neurokd.models.normalise import Normalise

BATCH = 128


@dataclass(frozen=True)
class Agreement:
    """`difference` is the largest of a logit; `differing` images have one above `TOLERANCE` of their largest logit.

    A largest logit below 1 counts as 1.
    """

    images: int
    differing: int
    difference: float


@torch.no_grad()
def compare(path: Path, model: nn.Module, images: ImageSet) -> Agreement:
    """Compare `model`, built from the file `path`, with that file on `images`.

    A `Normalise` in front of the model is no part of the file: onnxruntime gets what comes out of it.
    Raises NeurokdError where onnxruntime cannot run the file.
    """
    file, first = OnnxFile(path), getattr(model.eval(), "normalise", None)
    size = file.batch or BATCH
    differing, largest = 0, 0.0
    for start in range(0, len(images), size):
        pixels = to_input(images.images[start : start + size])
        ours = model(pixels).numpy()
        given = (first(pixels) if isinstance(first, Normalise) else pixels).contiguous().numpy()
        short = size - len(given) if file.batch else 0  # a file that is fixed to a batch takes no smaller one
        (theirs,) = file.run({file.input: np.pad(given, ((0, short), (0, 0), (0, 0), (0, 0)))}).values()
        error = np.abs(theirs[: len(ours)] - ours).max(axis=1)
        differing += int((error > TOLERANCE * np.abs(ours).max(axis=1).clip(min=1.0)).sum())
        largest = max(largest, float(error.max()))
    return Agreement(len(images), differing, largest)
