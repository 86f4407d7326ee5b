"""Which networks an ONNX graph computes exactly: float32 products, 64-bit integer neurons."""

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.bounds import channel_maxima, weighted_sums
from neurokd.export.network import FRACTION_BITS, MAX_DECAY, MAX_INPUT, IntArray, LoihiNetwork, Population
from neurokd.export.validate import validate

EXACT_SUM = 1 << 23  # float32 holds sums below 2^24; from 2^23 on Lava's convolution would wrap as well
LARGEST_CONSTANT = 1 << 31  # of a threshold or bias: six bits more are far from 64
MAX_WEIGHTS = 1 << 28  # in float32: half of the 2 GiB that one ONNX file can hold
MAX_STEPS = 256  # of an unrolled graph
STATE_LIMIT = 1 << 23  # u wraps and v saturates here (`Population`)


def prove_exact(network: LoihiNetwork) -> frozenset[str]:
    """Raise NeurokdError naming the first part of `network` that ONNX could not compute exactly.

    Returns the names of the populations whose u can leave 24 bits, in any number of steps, and has to be wrapped.

    Synaptic sums are float32 convolutions and matrix products, because onnxruntime has no others for
    convolutions; they are exact in any order of summation while `sum |w| * max |input|` stays below
    2^24. Neurons are 64-bit integers: the largest product, `u * (4096 - decay_u)`, stays below
    `(2^23 << 6) * 4096 * 4096 = 2^53`, by the geometric series of a drive below 2^23 << 6.
    """
    validate(network)
    if network.input.kind == "graded" and network.input.maximum > MAX_INPUT:
        raise NeurokdError(
            f"inputs: values up to {network.input.maximum}, an ONNX graph takes bytes, 0..{MAX_INPUT}; "
            "count or scale less"
        )
    if abs(network.input.constant) >= EXACT_SUM:
        raise NeurokdError(
            f"inputs: a constant plane of {network.input.constant}, allowed in ONNX is below {EXACT_SUM}"
        )
    weights = sum(connection.weight.size for connection in network.connections)
    if weights > MAX_WEIGHTS:
        raise NeurokdError(f"network: {weights} weights, allowed in one ONNX file are {MAX_WEIGHTS}")
    wrapping = set()
    for population in network.populations:
        reach = _synaptic_reach(network, population)
        if reach >= EXACT_SUM:
            raise NeurokdError(
                f"population '{population.name}': its synaptic sum can reach {reach}; allowed in ONNX is less than "
                f"{EXACT_SUM}, where float32 is exact; scale its weights down"
            )
        for field, values in (("threshold", population.threshold), ("bias", population.bias)):
            largest = 0 if values is None else _largest(values)
            if largest >= LARGEST_CONSTANT:
                raise NeurokdError(
                    f"population '{population.name}': {field} of {largest}, allowed in ONNX is less than "
                    f"{LARGEST_CONSTANT}"
                )
        if (reach << FRACTION_BITS) * MAX_DECAY >= STATE_LIMIT * population.decay_u:  # a geometric series
            wrapping.add(population.name)
    return frozenset(wrapping)


def check_unrolled(network: LoihiNetwork) -> None:
    """Raise NeurokdError if `network` has too many steps for a graph that holds each of them."""
    if network.timesteps > MAX_STEPS:
        raise NeurokdError(
            f"network: {network.timesteps} timesteps, allowed in an unrolled ONNX graph are {MAX_STEPS}; "
            "use the graph of one step"
        )


def _synaptic_reach(network: LoihiNetwork, population: Population) -> int:
    """Bound of every partial sum of the currents into `population`, over all its connections.

    Of graded inputs up to the network's `maximum`, above which `InputSpec.encode` refuses them.
    """
    reach = 0
    for connection in network.incoming(population.name):
        largest = _largest(connection.weight)
        if largest >= EXACT_SUM:  # larger ones could overflow the sums below
            return largest
        reach += int(np.add(*weighted_sums(connection, channel_maxima(network, connection.source))).max())
    return reach


def _largest(values: IntArray) -> int:
    """The largest magnitude, also of the smallest number that a type can hold."""
    return max(abs(int(np.max(values))), abs(int(np.min(values))))
