"""A float NIR graph becomes a `LoihiNetwork`: weights, bias and threshold of a population scaled together.

A LIF neuron is positively homogeneous: scaling its weights, bias and threshold by one number changes
no spike. So each population gets one scale, as large as its limits allow, and only ratios are rounded.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nir

from neurokd.errors import NeurokdError
from neurokd.export.network import MAX_INPUT, Connection, InputSpec, LoihiNetwork, Population
from neurokd.export.quantization.bias_plane import CONSTANT, pass_by
from neurokd.export.quantization.float_populations import FloatPopulation, float_populations
from neurokd.export.quantization.integers import LayerScale, to_integers
from neurokd.export.quantization.scale import choose_scale
from neurokd.export.validate import INPUT
from neurokd.inputs import PIXELS, Encoding

__all__ = ["LayerScale", "Quantized", "assemble", "encoding_of", "quantize"]


@dataclass(frozen=True)
class Quantized:
    """The integer network and how each population got there."""

    network: LoihiNetwork
    scales: tuple[LayerScale, ...]


def quantize(
    graph: nir.NIRGraph, *, clip: float | Mapping[str, float] = 1.0, bits: int = 8, labels: tuple[str, ...] = ()
) -> Quantized:
    """Quantise a pooled-away NIR graph: neurons that sum up layers `Conv2d | Affine`, and such layers as read-out.

    Neurons are LIF, IF or CubaLIF, and an integrator (LI, I, CubaLI) may follow the last weights: then the
    membrane that it leaves at a step is the answer, instead of the sum of all logits so far.

    `clip` in (0, 1] sets the largest weight that is kept, relative to the largest there is; smaller
    values round finer and clip more. A mapping gives it by population, and is 1 for those it does not name.
    `bits`, 2 to 8, are those of a weight (`round_weights`).
    `graph.metadata` needs `dt` (seconds) and `timesteps`; integers
    0..`input_maximum`, of which 1 is `input_unit`, stand for the graph's float input: unless given,
    pixels 0..255 for [0, 1]. They are the stored ones without the last `input_shift` bits.
    Raises NeurokdError naming the layer that cannot be held, e.g. a
    population whose neurons differ in their time constant, or a name that `clip` has and the graph has not.
    """
    timesteps, encoding = int(graph.metadata["timesteps"]), encoding_of(graph)
    found = float_populations(graph, float(graph.metadata["dt"]), encoding)
    clips = _clips(clip, found)
    scales = [choose_scale(one, clips[one.name], bits, timesteps) for one in found]
    return assemble(found, scales, encoding, timesteps, labels)


def assemble(
    found: Sequence[FloatPopulation],
    scales: Sequence[LayerScale],
    encoding: Encoding,
    timesteps: int,
    labels: tuple[str, ...] = (),
) -> Quantized:
    """Round every population at its scale, which must fit the chip (`choose_scale`), and connect them."""
    populations: list[Population] = []
    connections: list[Connection] = []
    for one, scale in zip(found, scales, strict=True):
        population, incoming = to_integers(one, scale)
        populations.append(population)
        connections += incoming
    image, *_ = (synapse.source_shape for one in found for synapse in one.synapses if synapse.source == INPUT)
    plane = any(scale.plane for scale in scales)
    network = LoihiNetwork(
        input=InputSpec(
            _widened(image) if plane else image,
            encoding.kind,
            CONSTANT if plane else 0,
            encoding.maximum,
            encoding.shift,
        ),
        populations=tuple(populations),
        connections=tuple(_past_the_plane(connections, scales, image) if plane else connections),
        timesteps=timesteps,
        readout=found[-1].name,
        logit_scale=1.0 / scales[-1].scale,
        labels=labels,
    )
    return Quantized(network, tuple(scales))


def _clips(clip: float | Mapping[str, float], populations: Sequence[FloatPopulation]) -> dict[str, float]:
    names = [population.name for population in populations]
    if not isinstance(clip, Mapping):
        return dict.fromkeys(names, clip)
    unknown = sorted(set(clip) - set(names))
    if unknown:
        raise NeurokdError(f"clip: the graph has no population {unknown[0]!r}; it has {', '.join(map(repr, names))}")
    return {name: clip.get(name, 1.0) for name in names}


def _widened(image: tuple[int, ...]) -> tuple[int, ...]:
    return (image[0] + 1, *image[1:])


def _past_the_plane(
    connections: list[Connection], scales: Sequence[LayerScale], image: tuple[int, ...]
) -> list[Connection]:
    """Let the populations that read the input without the constant plane pass it by."""
    without = {scale.name for scale in scales if not scale.plane}
    return [pass_by(one, image[1:]) if one.source == INPUT and one.target in without else one for one in connections]


def encoding_of(graph: nir.NIRGraph) -> Encoding:
    """Which integers stand for the input of `graph`, by its metadata; NeurokdError where the chip takes none such."""
    maximum = int(graph.metadata.get("input_maximum", PIXELS.maximum))
    unit = float(graph.metadata.get("input_unit", PIXELS.unit))
    if not 1 <= maximum <= MAX_INPUT or not 0.0 < unit < math.inf:
        raise NeurokdError(
            f"graph: inputs of 0..{maximum}, each worth {unit:g}; allowed are 1..{MAX_INPUT} and a unit above 0"
        )
    return Encoding(maximum, unit, int(graph.metadata.get("input_shift", 0)))
