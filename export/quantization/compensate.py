"""Round weights so that their errors cancel for the inputs that really come, and give the bias what remains.

For inputs x with mean m and covariance C, a current `w x` rounded to `q x` is off by `(w - q) m` on average, which
the bias takes up (Nagel et al., ICCV 2019), and by `(w - q) C (w - q)` in its variance. Rounding one weight after the
other and passing its error on to those not yet rounded keeps the latter small (OBQ, Frantar and Alistarh, NeurIPS
2022; in this form GPTQ, Frantar et al., ICLR 2023). Neighbouring pixels are alike: a first layer gains most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from neurokd.export.network import CURRENT_LIMIT, MAX_BIAS
from neurokd.export.nir_graphs.euler import FloatArray
from neurokd.export.quantization.float_populations import FloatPopulation
from neurokd.export.quantization.integers import LayerScale, round_weights, to_integers
from neurokd.export.quantization.moments import Moments
from neurokd.export.quantization.scale import BACK_OFF, reach

BLOCK = 64  # columns that are rounded before what they leave is passed on to all later ones
DAMPING = 0.01  # of the mean variance, added to all: inputs that never varied must not make it singular

Order: TypeAlias = npt.NDArray[np.int64]
Factor: TypeAlias = tuple[Order, FloatArray]


class Compensation:
    """Rounds populations by the moments of their synapses' inputs, by name; it keeps the factors of the covariances."""

    def __init__(self, moments: Mapping[str, Moments]) -> None:
        self._mean = {name: found.mean for name, found in moments.items()}
        self._factors = {
            name: [[_factor(one) for one in block] for block in found.covariance] for name, found in moments.items()
        }

    def fitted(
        self, population: FloatPopulation, scale: LayerScale, timesteps: int
    ) -> tuple[FloatPopulation, LayerScale]:
        """The float population whose nearest integers are the compensated ones, and the scale to take them at.

        The scale is a little smaller than it was where the new integers would exceed the chip.
        """
        while True:
            rounded = self._rounded(population, scale)
            neurons, connections = to_integers(rounded, scale)
            bias = 0 if neurons.bias is None else int(np.abs(neurons.bias).max())
            if bias <= MAX_BIAS and reach(population, neurons, connections, timesteps) < CURRENT_LIMIT:
                return rounded, scale
            scale = replace(scale, scale=scale.scale * BACK_OFF)

    def _rounded(self, population: FloatPopulation, scale: LayerScale) -> FloatPopulation:
        bias, synapses = population.bias, []
        for synapse in population.synapses:
            mean, factors = self._mean[synapse.name], self._factors[synapse.name]
            wanted = synapse.weight.reshape(len(mean), -1, mean.shape[1])  # [groups, O / groups, K]
            weight = _grouped(wanted * scale.scale, factors, scale) / scale.scale
            bias = bias + np.einsum("gok,gk->go", wanted - weight, mean).reshape(-1)
            synapses.append(replace(synapse, weight=weight.reshape(synapse.weight.shape)))
        return replace(population, synapses=tuple(synapses), bias=bias)


def _grouped(wanted: FloatArray, factors: Sequence[Sequence[Factor]], scale: LayerScale) -> FloatArray:
    sizes = np.cumsum([len(block[0][0]) for block in factors])[:-1]
    blocks = np.split(wanted, sizes, axis=2)
    return np.concatenate(
        [
            np.stack([compensated(one, factor, scale) for one, factor in zip(block, of_block, strict=True)])
            for block, of_block in zip(blocks, factors, strict=True)
        ],
        axis=2,
    )


def compensated(wanted: FloatArray, factor: Factor, scale: LayerScale) -> FloatArray:
    """Round `wanted` `[O, K]` column by column to weights of `scale`, each error passed on to the columns to come.

    The columns of a block pass theirs on to later blocks together, in one product of matrices.
    """
    order, upper = factor
    rest = np.ascontiguousarray(wanted[:, order].T)  # [K, O], in the order of rounding
    rounded, count = np.empty_like(rest), len(order)
    for start in range(0, count, BLOCK):
        end = min(start + BLOCK, count)
        errors = np.empty((end - start, rest.shape[1]))
        for index in range(start, end):
            rounded[index] = round_weights(rest[index], scale.bits, scale.step)
            error = (rest[index] - rounded[index]) / upper[index, index]
            rest[index + 1 : end] -= upper[index, index + 1 : end, np.newaxis] * error
            errors[index - start] = error
        rest[end:] -= upper[start:end, end:].T @ errors
    in_place = np.empty_like(wanted)
    in_place[:, order] = rounded.T
    return in_place


def _factor(covariance: FloatArray) -> Factor:
    """The order of rounding, largest variance first, and the upper Cholesky factor of the inverse in that order."""
    variance = np.diag(covariance)
    order = np.argsort(-variance, kind="stable")
    damped = covariance[np.ix_(order, order)] + np.eye(len(order)) * (DAMPING * variance.mean() or 1.0)
    return order, np.linalg.cholesky(np.linalg.inv(damped)).T
