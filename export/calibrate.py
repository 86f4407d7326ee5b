"""Choose how a float graph is quantised on training images, by what the float network answers to them."""

from dataclasses import dataclass
from typing import Any, Literal

import nir
import numpy as np
import torch
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.export.float_populations import float_populations
from neurokd.export.quantize import Quantized, encoding_of, quantize
from neurokd.export.scale_search import Candidate, FloatArray, ScaleOptions, integer_logits, search
from neurokd.inputs import to_input

__all__ = ["Calibration", "FloatArray", "calibrate", "float_logits", "integer_logits", "uncalibrated"]


@dataclass(frozen=True)
class Calibration:
    """The chosen candidate, all that were tried on `samples` training images, and what was asked for.

    `rounding` is how its integers came to be: "compensated" as the search does it, "nearest" without data, "trained".
    """

    chosen: Candidate
    tried: tuple[Candidate, ...]
    samples: int
    options: ScaleOptions
    rounding: Literal["compensated", "nearest", "trained"] = "compensated"

    @property
    def quantized(self) -> Quantized:
        """The chosen network."""
        return self.chosen.quantized

    def to_json(self) -> dict[str, Any]:
        """The manifest's entry."""
        return {
            "part": "training images" if self.samples else "none: compared on random inputs",
            "samples": self.samples,
            "search": self.options.method if self.samples else None,
            "method": self.chosen.method,
            "weight_bits": self.options.weight_bits,
            "input_bits": self.chosen.input_bits,
            "rounding": self.rounding,
            "per_channel": self.options.per_channel,
            "clip": dict(self.chosen.clips),
            "candidates": [one.to_json() for one in self.tried],
        }


def calibrate(
    graph: nir.NIRGraph,
    wanted: FloatArray,
    images: ImageSet,
    labels: tuple[str, ...],
    options: ScaleOptions | None = None,
    *,
    bits: int = 8,
) -> Calibration:
    """Quantise `graph` in every way of `options` and keep the best on `images`, which must be training images.

    `wanted` `[B, C]` is what the float network answers to them; see `search`. `bits` are those of a weight where
    no options say so.
    """
    options = options or ScaleOptions(weight_bits=bits)
    found = search(graph, wanted, images, labels, options)
    return Calibration(found[0], tuple(found), len(images), options)


def uncalibrated(graph: nir.NIRGraph, labels: tuple[str, ...], options: ScaleOptions) -> Calibration:
    """Quantise `graph` without data: nothing is clipped, everything is rounded to what is nearest."""
    quantized = quantize(graph, bits=options.weight_bits, labels=labels)
    populations = float_populations(graph, float(graph.metadata["dt"]), encoding_of(graph))
    clips = {one.name: 1.0 for one in populations}
    return Calibration(Candidate("min-max", clips, graph, populations, quantized, 1.0, 0.0), (), 0, options, "nearest")


@torch.no_grad()
def float_logits(student: nn.Module, images: ImageSet, batch_size: int = 256) -> FloatArray:
    """Logits summed over the steps, `[B, C]`, of the float student."""
    student.eval()
    starts = range(0, len(images), batch_size)
    parts = [student(to_input(images.images[start : start + batch_size])).sum(dim=0) for start in starts]
    return np.asarray(torch.cat(parts).numpy(), np.float64)
