"""Choose how a float graph is quantised on training images, by what the float network answers to them."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import nir
import numpy as np
import torch
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.export.contract.rules import CHANNELS
from neurokd.export.quantization.clips import RULES, Rule
from neurokd.export.quantization.float_populations import float_populations
from neurokd.export.quantization.per_channel import per_channel
from neurokd.export.quantization.quantize import Quantized, assemble, encoding_of
from neurokd.export.quantization.scale import choose_scale
from neurokd.export.quantization.scale_search import (
    Candidate,
    FloatArray,
    ScaleOptions,
    input_bits_of,
    integer_logits,
    search,
    with_input_bits,
)
from neurokd.inputs import to_input

BUDGET = 50 * 10**9  # products of a weight and an input, for one candidate: seconds on a core
MIN_IMAGES = 64

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

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user of the network should know, in the words of the rule about such files (`contract.rules`)."""
        each = f"network: thresholds that differ by channel; {CHANNELS}"
        return (each,) if self.options.per_channel else ()

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
    no options say so. Of a large network fewer images are run than given (`affordable`), evenly chosen from all.
    """
    options = options or ScaleOptions(weight_bits=bits)
    chosen = torch.arange(0, len(images), math.ceil(len(images) / affordable(graph)))
    found = search(graph, wanted[chosen.numpy()], images.subset(chosen), labels, options)
    return Calibration(found[0], tuple(found), len(chosen), options)


def affordable(graph: nir.NIRGraph) -> int:
    """How many images each candidate of a search runs: 64 at least, else so many that take `BUDGET` products.

    A ResNet-18 at 32 x 32 pixels and T = 2 is at the least; networks of up to 49 million products a step run 512.
    """
    timesteps = int(graph.metadata["timesteps"])
    synapses = [
        (synapse, math.prod(one.shape[1:]))
        for one in float_populations(graph, float(graph.metadata["dt"]), encoding_of(graph))
        for synapse in one.synapses
    ]
    products = sum(synapse.weight.size * positions for synapse, positions in synapses) * timesteps
    return max(MIN_IMAGES, BUDGET // products)


def uncalibrated(graph: nir.NIRGraph, labels: tuple[str, ...], options: ScaleOptions) -> Calibration:
    """Quantise `graph` without data, every number rounded to what is nearest.

    Weights are clipped by the rule of `options`; "best" needs data to choose, so nothing is clipped, and the input
    keeps its bits unless `options` say otherwise.
    """
    if options.input_bits is not None:
        graph = with_input_bits(graph, *input_bits_of(graph, options))
    rule: Rule = "min-max" if options.method == "best" else options.method
    bits, timesteps, encoding = options.weight_bits, int(graph.metadata["timesteps"]), encoding_of(graph)
    populations = float_populations(graph, float(graph.metadata["dt"]), encoding)
    if options.per_channel:
        populations = [per_channel(one, bits, timesteps) for one in populations]
    clips = {one.name: RULES[rule](one, bits, timesteps) for one in populations}
    scales = [choose_scale(one, clips[one.name], bits, timesteps) for one in populations]
    quantized = assemble(populations, scales, encoding, timesteps, labels)
    chosen = Candidate(rule, clips, graph, populations, quantized, agreement=1.0, logit_error=0.0)
    return Calibration(chosen, (), 0, options, "nearest")


@torch.no_grad()
def float_logits(student: nn.Module, images: ImageSet, batch_size: int = 256) -> FloatArray:
    """Logits summed over the steps, `[B, C]`, of the float student."""
    student.eval()
    starts = range(0, len(images), batch_size)
    parts = [student(to_input(images.images[start : start + batch_size])).sum(dim=0) for start in starts]
    return np.asarray(torch.cat(parts).numpy(), np.float64)
