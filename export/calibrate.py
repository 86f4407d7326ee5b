"""Choose the clipping of the weights on training images, by agreement with the float network."""

from dataclasses import dataclass

import nir
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.export.network import LoihiNetwork
from neurokd.export.quantize import Quantized, quantize
from neurokd.hardware.simulator import simulate
from neurokd.inputs import to_input

FloatArray = npt.NDArray[np.float64]
CLIPS = (1.0, 0.9, 0.8, 0.7)


@dataclass(frozen=True)
class Calibration:
    """The chosen network; `agreement` by clip is the share of equal predictions on `samples` training images."""

    quantized: Quantized
    clip: float
    agreement: dict[float, float]
    samples: int


def calibrate(graph: nir.NIRGraph, wanted: FloatArray, images: ImageSet, labels: tuple[str, ...]) -> Calibration:
    """Quantise `graph` at every clip of `CLIPS` and keep the best on `images`, which must be training images.

    `wanted` `[B, C]` is what the float network answers to them. Agreement decides, then the smaller error of the
    logits, then the larger clip.
    """
    candidates = {clip: quantize(graph, clip=clip, labels=labels) for clip in CLIPS}
    agreement: dict[float, float] = {}
    errors: dict[float, float] = {}
    for clip, candidate in candidates.items():
        got = integer_logits(candidate.network, images)
        agreement[clip] = float((got.argmax(1) == wanted.argmax(1)).mean())
        errors[clip] = float(np.square(got - wanted).mean())
    best = max(CLIPS, key=lambda clip: (agreement[clip], -errors[clip], clip))
    return Calibration(candidates[best], best, agreement, len(images))


@torch.no_grad()
def float_logits(student: nn.Module, images: ImageSet, batch_size: int = 256) -> FloatArray:
    """Logits summed over the steps, `[B, C]`, of the float student."""
    student.eval()
    starts = range(0, len(images), batch_size)
    parts = [student(to_input(images.images[start : start + batch_size])).sum(dim=0) for start in starts]
    return np.asarray(torch.cat(parts).numpy(), np.float64)


def integer_logits(network: LoihiNetwork, images: ImageSet) -> FloatArray:
    """The answer after the last step, `[B, C]`, of the integer network, in the unit of the float network's."""
    trace = simulate(network, network.input.encode(images.images[:].numpy()), record="counts")
    if trace.readout is None:
        raise ValueError("integer_logits: the network has no read-out")
    return np.asarray(trace.readout[-1] * network.logit_scale, np.float64)
