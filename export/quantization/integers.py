"""Round the float weights, bias and threshold of a population to the integers of the chip, at a scale that is given."""

from dataclasses import dataclass

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.network import FRACTION_BITS, MAX_THRESHOLD, Connection, IntArray, Population
from neurokd.export.nir_graphs.euler import FloatArray
from neurokd.export.quantization.bias_plane import split_bias, widen
from neurokd.export.quantization.float_populations import FloatPopulation
from neurokd.export.validate import INPUT

WEIGHT_RANGE = 256  # what 8 signed bits reach; integer weights stay one step below


@dataclass(frozen=True)
class LayerScale:
    """How one population is quantised: integer = round(`scale` * float), for weights, bias and threshold alike.

    `clipped_fraction` of its weights lie outside the range of `bits` and are cut to it; `clip` is the largest
    weight that was to be kept, relative to the largest there is. `limited_by` names the limit that kept the scale
    from being larger. Weights are multiples of `step`. `plane`: the coarse part of the bias goes into weights of a
    constant input (`bias_plane`).
    """

    name: str
    scale: float
    clipped_fraction: float
    limited_by: str
    clip: float = 1.0
    bits: int = 8
    plane: bool = False
    step: int = 2


def weight_step(bits: int, peak: float = WEIGHT_RANGE) -> int:
    """The distance of two neighbouring integer weights of `bits` bits, 2 to 8, of which `peak` is the largest wanted.

    The smallest power of two from 2 on at which the bits reach `peak`, so that a layer whose scale is limited by its
    currents spends no levels on weights that it cannot have.

    >>> [weight_step(bits) for bits in (8, 4, 2)], weight_step(4, peak=100.0)
    ([2, 32, 128], 16)
    """
    step, steps = 2, levels(bits)
    while step < 1 << (9 - bits) and step * steps < peak:
        step *= 2
    return step


def levels(bits: int) -> int:
    """How many steps a weight of `bits` bits, 2 to 8, can be away from 0; the range is symmetric.

    Raises NeurokdError for another number of bits.

    >>> [levels(bits) for bits in (8, 4, 2)]
    [127, 7, 1]
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 8:
        raise NeurokdError(f"bits: got {bits!r}, allowed are whole numbers from 2 to 8 for a weight")
    return (1 << (bits - 1)) - 1


def round_weights(wanted: FloatArray, bits: int = 8, step: int | None = None) -> IntArray:
    """Round to the nearest multiple of `step` and cut at `levels(bits)` of them; ties go to even multiples.

    `step` is `weight_step(bits)` unless given.

    >>> round_weights(np.array([-300.0, 0.9, 1.1, 17.0]), bits=8)
    array([-254,    0,    2,   16])
    >>> round_weights(np.array([-300.0, 0.9, 1.1, 17.0]), bits=4, step=16)
    array([-112,    0,    0,   16])
    """
    step = step or weight_step(bits)
    largest = levels(bits) * step
    return np.clip(step * np.round(wanted / step), -largest, largest).astype(np.int64)


def clipped_fraction(population: FloatPopulation, scale: LayerScale) -> float:
    """The share of weights that `round_weights` cuts at this scale: beyond half a step above the largest."""
    bound = (levels(scale.bits) + 0.5) * scale.step
    outside = sum(int((np.abs(synapse.weight * scale.scale) > bound).sum()) for synapse in population.synapses)
    return outside / sum(synapse.weight.size for synapse in population.synapses)


def to_integers(population: FloatPopulation, scale: LayerScale) -> tuple[Population, tuple[Connection, ...]]:
    """Round everything in `population` at one scale: weights to `scale.bits`, bias and threshold to whole numbers.

    With `scale.plane` the weights from the input have one more channel. Raises NeurokdError where a threshold
    becomes 0.
    """
    weights = [round_weights(synapse.weight * scale.scale, scale.bits, scale.step) for synapse in population.synapses]
    bias: IntArray = np.round(population.bias * scale.scale).astype(np.int64)
    if scale.plane:
        weights, bias = _with_plane(population, weights, bias)
    wanted = np.array(MAX_THRESHOLD) if population.threshold is None else np.round(population.threshold * scale.scale)
    threshold: IntArray = wanted.astype(np.int64)
    if threshold.min() < 1:
        raise NeurokdError(
            f"layer '{population.name}': its weights are too large beside its threshold (scale {scale.scale:g})"
        )
    neurons = Population(
        name=population.name,
        shape=population.shape,
        threshold=threshold,
        decay_u=population.decay_u,
        decay_v=population.decay_v,
        bias=bias if bias.any() else None,
        reset=population.reset,
        initial=np.round(population.initial * threshold * (1 << FRACTION_BITS)).astype(np.int64),
    )
    connections = tuple(
        Connection(synapse.source, population.name, weight, **synapse.geometry)
        for synapse, weight in zip(population.synapses, weights, strict=True)
    )
    return neurons, connections


def _with_plane(
    population: FloatPopulation, weights: list[IntArray], bias: IntArray
) -> tuple[list[IntArray], IntArray]:
    """Let the first layer that reads the input carry the coarse part of the bias, in 8 bits; others get a blank."""
    coarse, rest = split_bias(bias)
    widened = []
    for synapse, weight in zip(population.synapses, weights, strict=True):
        if synapse.source == INPUT:
            weight = widen(synapse.name, weight, coarse, synapse.source_shape[1:], synapse.geometry)
            coarse = np.zeros_like(coarse)
        widened.append(weight)
    return widened, rest
