"""What to keep of the largest weights of a population: three rules that look at its weights alone."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np

from neurokd.export.nir_graphs.euler import FloatArray
from neurokd.export.quantization.float_populations import FloatPopulation
from neurokd.export.quantization.integers import round_weights
from neurokd.export.quantization.scale import choose_scale

Rule: TypeAlias = Literal["min-max", "percentile", "mse"]

PERCENTILE = 99.9  # of the magnitudes of all weights of a population
TRIED = tuple(round(0.05 * count, 2) for count in range(20, 5, -1))  # 1.0, 0.95, ... 0.3


def min_max(population: FloatPopulation, bits: int, timesteps: int) -> float:
    """Keep all weights."""
    return 1.0


def percentile(population: FloatPopulation, bits: int, timesteps: int) -> float:
    """Keep weights up to the `PERCENTILE` of their magnitudes (Wu et al., arXiv:2004.09602)."""
    magnitudes = np.abs(_weights(population))
    return float(np.percentile(magnitudes, PERCENTILE) / magnitudes.max()) or 1.0


def mean_squared_error(population: FloatPopulation, bits: int, timesteps: int) -> float:
    """The clip of `TRIED` with the smallest mean squared error of the weights (Sung et al., arXiv:1511.06488)."""
    weights = _weights(population)

    def error(clip: float) -> float:
        chosen = choose_scale(population, clip, bits, timesteps)
        rounded = round_weights(weights * chosen.scale, bits, chosen.step) / chosen.scale
        return float(np.square(rounded - weights).mean())

    return min(TRIED, key=error)  # of equal ones the largest, which comes first


RULES: Mapping[Rule, Callable[[FloatPopulation, int, int], float]] = {
    "min-max": min_max,
    "percentile": percentile,
    "mse": mean_squared_error,
}
"""The clip of a population for weights of `bits` bits and `timesteps` steps, by the name of the rule."""


def _weights(population: FloatPopulation) -> FloatArray:
    return np.concatenate([synapse.weight.ravel() for synapse in population.synapses])
