"""Give every channel a scale of its own, which its threshold carries."""

from dataclasses import replace

import numpy as np

from neurokd.export.nir_graphs.euler import FloatArray
from neurokd.export.quantization.float_populations import FloatPopulation
from neurokd.export.quantization.scale import choose_scale


def per_channel(population: FloatPopulation, bits: int = 8, timesteps: int = 1) -> FloatPopulation:
    """Scale weights, bias and threshold of each channel up, as far as the chip holds them: no spike changes.

    A LIF neuron is positively homogeneous, so quantising the result gives each channel the whole range of the
    weights. The read-out is returned as it is: its sums are compared with each other. Lava runs thresholds per
    channel; Intel documents one value per population. `bits` and `timesteps` are those of `choose_scale`.
    """
    if population.threshold is None:
        return population
    channels = population.shape[0]
    threshold = np.broadcast_to(population.threshold, channels)
    alive = _alive(population)
    scales = [choose_scale(_channel(population, index, threshold), 1.0, bits, timesteps).scale for index in alive]
    factor = np.ones(channels)
    factor[alive] = np.array(scales) / min(scales)
    synapses = tuple(replace(one, weight=_rows(one.weight, factor)) for one in population.synapses)
    return replace(population, synapses=synapses, bias=_rows(population.bias, factor), threshold=threshold * factor)


def _alive(population: FloatPopulation) -> list[int]:
    """The channels that anything can reach."""
    driven = np.sum(
        [np.abs(one.weight).reshape(len(one.weight), -1).sum(axis=1) for one in population.synapses], axis=0
    )
    return [int(index) for index in np.flatnonzero(driven)]


def _channel(population: FloatPopulation, index: int, threshold: FloatArray) -> FloatPopulation:
    """One channel as a population of its own."""
    row = slice(index, index + 1)
    synapses = tuple(replace(one, weight=one.weight[row]) for one in population.synapses)
    return replace(
        population, shape=(1, *population.shape[1:]), synapses=synapses, bias=population.bias[row],
        threshold=threshold[row],
    )  # fmt: skip


def _rows(values: FloatArray, factor: FloatArray) -> FloatArray:
    return values * factor.reshape(-1, *[1] * (values.ndim - 1))
