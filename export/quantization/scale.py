"""Choose the scale of one population: the largest at which weights, bias, threshold and currents all fit the chip."""

import dataclasses

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.network import (
    CURRENT_LIMIT,
    MAX_BIAS,
    MAX_DECAY,
    MAX_THRESHOLD,
    MAX_WEIGHT,
    Connection,
    IntArray,
    Population,
)  # fmt: skip
from neurokd.export.nir_graphs.euler import FloatArray
from neurokd.export.quantization.bias_plane import CONSTANT
from neurokd.export.quantization.float_populations import FloatPopulation
from neurokd.export.quantization.integers import LayerScale, clipped_fraction, levels, to_integers, weight_step
from neurokd.export.validate import INPUT

BACK_OFF = 0.99  # where rounding carries a sum over its limit


def choose_scale(population: FloatPopulation, clip: float = 1.0, bits: int = 8, timesteps: int = 1) -> LayerScale:
    """The largest scale at which `population` can be rounded by `to_integers` and never exceeds the chip.

    All synapses share it, and their currents add up. `clip` in (0, 1] is the largest weight that is kept, relative
    to the largest there is: smaller values round finer and clip more. `timesteps` bound what a current with memory
    or a read-out can sum up. Raises NeurokdError for another `clip` or number of `bits`.
    """
    if not 0.0 < clip <= 1.0:
        raise NeurokdError(f"layer '{population.name}': clip is {clip:g}, allowed is above 0 and at most 1")
    value, limited_by, plane = _largest(population, clip, bits, timesteps)
    step = weight_step(bits, clip * value * _peak(population))
    scale = LayerScale(population.name, value, 0.0, limited_by, clip, bits, plane, step)
    return within_limits(population, scale, timesteps)


def within_limits(population: FloatPopulation, scale: LayerScale, timesteps: int) -> LayerScale:
    """`scale` or, where the integers rounded at it could exceed the chip, the next smaller one where they cannot."""
    while not _fit(population, scale, timesteps):
        scale = dataclasses.replace(scale, scale=scale.scale * BACK_OFF, limited_by="current")
    return dataclasses.replace(scale, clipped_fraction=clipped_fraction(population, scale))


def _fit(population: FloatPopulation, scale: LayerScale, timesteps: int) -> bool:
    neurons, connections = to_integers(population, scale)
    bias = 0 if neurons.bias is None else int(np.abs(neurons.bias).max())
    return bias <= MAX_BIAS and reach(population, neurons, connections, timesteps) < CURRENT_LIMIT


def _largest(population: FloatPopulation, clip: float, bits: int, timesteps: int) -> tuple[float, str, bool]:
    """The largest scale within all limits before rounding, the limit that binds, and whether a bias plane is used."""
    steps = _steps_summed(population, timesteps)
    peak_bias = float(np.abs(population.bias).max())
    current = _current(population, [synapse.weight for synapse in population.synapses])
    limits = {"weight bits": levels(bits) * weight_step(bits) / (clip * _peak(population))}
    if population.threshold is not None:
        room = 2 if population.reset == "soft" else 1  # for the rest that a membrane keeps above its threshold
        limits["threshold"] = MAX_THRESHOLD / room / float(population.threshold.max())
    scale = min(limits.values())
    plane = _can_widen(population) and peak_bias * min(scale, CURRENT_LIMIT / float(current.max())) > MAX_BIAS
    if plane:  # the plane's share of the bias is a current too
        current = current + np.abs(population.bias)
        limits["bias"] = (MAX_WEIGHT * CONSTANT) / max(peak_bias, 1e-12)
    else:
        current = current + (np.abs(population.bias) if population.threshold is None else 0.0)
        limits["bias"] = MAX_BIAS / max(peak_bias, 1e-12)
    limits["current"] = (CURRENT_LIMIT - 1) / steps / float(current.max())
    limited_by = min(limits, key=lambda key: limits[key])
    return limits[limited_by], limited_by, plane


def _peak(population: FloatPopulation) -> float:
    return max(float(np.abs(synapse.weight).max()) for synapse in population.synapses)


def _current(population: FloatPopulation, weights: list[FloatArray] | list[IntArray]) -> FloatArray:
    """The largest magnitude of the summed currents of every output, `[O]`, at the largest inputs."""
    both = np.zeros((2, len(weights[0])), weights[0].dtype)
    for synapse, weight in zip(population.synapses, weights, strict=True):
        flat = weight.reshape(len(weight), -1)
        both += np.stack([flat.clip(min=0).sum(axis=1), -flat.clip(max=0).sum(axis=1)]) * synapse.input_max
    return np.asarray(both.max(axis=0))


def reach(
    population: FloatPopulation, neurons: Population, connections: tuple[Connection, ...], timesteps: int
) -> float:
    """The largest current that the integers can make or, for the read-out, the largest membrane."""
    sums = _current(population, [connection.weight for connection in connections])
    if population.threshold is None:
        sums = sums + (0 if neurons.bias is None else np.abs(neurons.bias))
    return _steps_summed(population, timesteps) * int(sums.max())


def _steps_summed(population: FloatPopulation, timesteps: int) -> float:
    """How many times its largest sum a current or, in a read-out, a membrane can reach: a geometric series."""
    membrane = _series(population.decay_v, timesteps) if population.threshold is None else 1.0
    return _series(population.decay_u, timesteps) * membrane


def _series(decay: int, timesteps: int) -> float:
    return min(float(timesteps), MAX_DECAY / decay) if decay else float(timesteps)


def _can_widen(population: FloatPopulation) -> bool:
    """Whether the population reads graded inputs, and nothing through groups, in which a constant has no place."""
    reading = [synapse for synapse in population.synapses if synapse.source == INPUT]
    return bool(reading) and all(synapse.input_max > 1 and synapse.groups == 1 for synapse in reading)
