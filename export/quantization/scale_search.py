"""Search the scales that lose least: each candidate runs on the simulator and is held against the float network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, TypeAlias, get_args

import nir
import numpy as np
import numpy.typing as npt
import torch

from neurokd.data.images import ImageSet
from neurokd.errors import NeurokdError
from neurokd.export.network import LoihiNetwork
from neurokd.export.quantization.clips import RULES, Rule
from neurokd.export.quantization.compensate import Compensation
from neurokd.export.quantization.float_populations import FloatPopulation, float_populations
from neurokd.export.quantization.integers import LayerScale
from neurokd.export.quantization.moments import input_moments
from neurokd.export.quantization.per_channel import per_channel
from neurokd.export.quantization.quantize import Quantized, assemble, encoding_of
from neurokd.export.quantization.scale import choose_scale
from neurokd.hardware.simulator import simulate

FloatArray = npt.NDArray[np.float64]
SearchMethod: TypeAlias = Literal["min-max", "percentile", "mse", "best"]

INPUT_BITS = (8, 7, 6)  # tried of pixels
MOMENT_IMAGES = 128
STEP = 0.85  # from one clip to the next, layer by layer


@dataclass(frozen=True)
class ScaleOptions:
    """`method` says how the weights of each layer are clipped, "best" tries all and then layer by layer.

    `weight_bits` are 2 to 8. `input_bits` are those that pixels are shown with, None tries `INPUT_BITS`.
    `per_channel` gives each channel a scale, which rides on its threshold.
    """

    method: SearchMethod = "best"
    weight_bits: int = 8
    input_bits: int | None = None
    per_channel: bool = False


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to quantise, and what it does with the calibration images.

    `agreement` is the share of equal predictions, `logit_error` the mean squared error of the logits relative to
    their variance. `graph` shows images as the network is shown them; `populations` are the float ones whose
    nearest integers are the network's.
    """

    method: str
    clips: Mapping[str, float]
    graph: nir.NIRGraph = field(repr=False)
    populations: Sequence[FloatPopulation] = field(repr=False)
    quantized: Quantized = field(repr=False)
    agreement: float
    logit_error: float

    @property
    def input_bits(self) -> int:
        """How many bits the input has."""
        return encoding_of(self.graph).bits

    def to_json(self) -> dict[str, Any]:
        """What the manifest says about it."""
        return {
            "method": self.method,
            "input_bits": self.input_bits,
            "agreement": self.agreement,
            "logit_error": self.logit_error,
        }


def search(
    graph: nir.NIRGraph, wanted: FloatArray, images: ImageSet, labels: tuple[str, ...], options: ScaleOptions
) -> list[Candidate]:
    """Every candidate of `options`, the best first: the one with the smallest error of the logits.

    `wanted` `[B, C]` is what the float network answers to `images`, which must be training images. The logits
    decide and not the predictions: those of a few hundred images differ by chance more than the candidates do.
    Raises NeurokdError for input bits that the data have not.
    """
    trials = _Trials(graph, wanted, images, labels, options)
    rules: tuple[Rule, ...] = get_args(Rule) if options.method == "best" else (options.method,)
    found = [trials.by_rule(rule, bits) for bits in input_bits_of(graph, options) for rule in rules]
    found.sort(key=lambda one: one.logit_error)
    if options.method == "best":
        better = trials.layer_by_layer(found[0])
        found = found if better is found[0] else [better, *found]
    return found


def input_bits_of(graph: nir.NIRGraph, options: ScaleOptions) -> tuple[int, ...]:
    """The bits that inputs are to be tried with; NeurokdError for those of `options` that the data have not."""
    stored = encoding_of(graph).bits
    allowed = INPUT_BITS if stored == INPUT_BITS[0] else (stored,)
    if options.input_bits is None:
        return allowed
    if options.input_bits not in allowed:
        listed = ", ".join(map(str, allowed))
        raise NeurokdError(f"input bits: got {options.input_bits}, allowed for these data are {listed}")
    return (options.input_bits,)


class _Trials:
    """Quantises a graph in one way after the other, and runs each on the same images."""

    def __init__(
        self, graph: nir.NIRGraph, wanted: FloatArray, images: ImageSet, labels: tuple[str, ...], options: ScaleOptions
    ) -> None:
        self._graph, self._wanted, self._images, self._labels = graph, wanted, images, labels
        self._options, self._timesteps = options, int(graph.metadata["timesteps"])
        self._prepared, self._fitted = cache(self._prepare), cache(self._fit)

    def by_rule(self, rule: Rule, input_bits: int) -> Candidate:
        """The clip of every layer by one rule."""
        _, populations, _ = self._prepared(input_bits)
        bits = self._options.weight_bits
        return self._trial(rule, {one.name: RULES[rule](one, bits, self._timesteps) for one in populations}, input_bits)

    def layer_by_layer(self, best: Candidate) -> Candidate:
        """One walk through the layers: a smaller and a larger clip for each, kept where the logits come closer."""
        for name in [one.name for one in best.populations]:
            for factor in (STEP, 1.0 / STEP):
                clip = min(1.0, best.clips[name] * factor)
                if clip != best.clips[name]:
                    tried = self._trial("layer by layer", {**best.clips, name: clip}, best.input_bits)
                    best = min(best, tried, key=lambda one: one.logit_error)
        return best

    def _trial(self, method: str, clips: Mapping[str, float], input_bits: int) -> Candidate:
        graph, found, _ = self._prepared(input_bits)
        fitted = [self._fitted(input_bits, index, clips[one.name]) for index, one in enumerate(found)]
        populations, scales = [one for one, _ in fitted], [scale for _, scale in fitted]
        quantized = assemble(populations, scales, encoding_of(graph), self._timesteps, self._labels)
        return judged(method, clips, graph, populations, quantized, self._images, self._wanted)

    def _fit(self, input_bits: int, index: int, clip: float) -> tuple[FloatPopulation, LayerScale]:
        """The population number `index`, compensated, and its scale."""
        _, populations, compensation = self._prepared(input_bits)
        population = populations[index]
        scale = choose_scale(population, clip, self._options.weight_bits, self._timesteps)
        return compensation.fitted(population, scale, self._timesteps)

    def _prepare(self, input_bits: int) -> tuple[nir.NIRGraph, list[FloatPopulation], Compensation]:
        graph = with_input_bits(self._graph, input_bits)
        populations = float_populations(graph, float(graph.metadata["dt"]), encoding_of(graph))
        if self._options.per_channel:
            populations = [per_channel(one, self._options.weight_bits, self._timesteps) for one in populations]
        few = self._images.subset(torch.arange(0, len(self._images), max(1, len(self._images) // MOMENT_IMAGES)))
        return graph, populations, Compensation(input_moments(graph, populations, few))


def judged(
    method: str,
    clips: Mapping[str, float],
    graph: nir.NIRGraph,
    populations: Sequence[FloatPopulation],
    quantized: Quantized,
    images: ImageSet,
    wanted: FloatArray,
) -> Candidate:
    """The candidate with its `agreement` and `logit_error` on `images`, of which `wanted` `[B, C]` are the answers."""
    got = integer_logits(quantized.network, images)
    agreement = float((got.argmax(1) == wanted.argmax(1)).mean())
    error = float(np.square(got - wanted).mean() / max(wanted.var(), 1e-12))
    return Candidate(method, clips, graph, populations, quantized, agreement, error)


def with_input_bits(graph: nir.NIRGraph, bits: int) -> nir.NIRGraph:
    """The same graph for inputs of which the last bits are rounded away."""
    encoding = encoding_of(graph).with_bits(bits)
    shown = {"input_maximum": encoding.maximum, "input_unit": encoding.unit, "input_shift": encoding.shift}
    return nir.NIRGraph(graph.nodes, graph.edges, metadata=graph.metadata | shown, type_check=False)


def integer_logits(network: LoihiNetwork, images: ImageSet) -> FloatArray:
    """The answer after the last step, `[B, C]`, of the integer network, in the unit of the float network's."""
    trace = simulate(network, network.input.encode(images.images[:].numpy()), record="counts")
    if trace.readout is None:
        raise ValueError("integer_logits: the network has no read-out")
    return np.asarray(trace.readout[-1] * network.logit_scale, np.float64)
