"""Collects what a run produces, batch by batch, into one `Trace`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from neurokd.export.network import FRACTION_BITS, IntArray, LoihiNetwork, Population
from neurokd.export.validate import INPUT
from neurokd.hardware.lif import LifResult
from neurokd.hardware.trace import Trace


class Recorder:
    """Arrays of the final size, filled as batches arrive; see `Trace` for their meaning."""

    def __init__(self, network: LoihiNetwork, samples: int, *, spikes: bool, state: bool) -> None:
        self._network, self._samples, steps = network, samples, network.timesteps
        shapes = {population.name: population.shape for population in network.populations}
        self._counts: dict[str, npt.NDArray[np.int64]] = {
            name: np.zeros((steps, *shape), dtype=np.int64)
            for name, shape in {INPUT: network.input.shape, **shapes}.items()
        }
        self._saturated = dict.fromkeys(shapes, 0)
        self._spikes: dict[str, npt.NDArray[np.uint8]] = {}
        self._u: dict[str, npt.NDArray[np.int64]] = {}
        self._v: dict[str, npt.NDArray[np.int64]] = {}
        self._readout: npt.NDArray[np.int64] | None = None
        for name, shape in shapes.items():
            full = (steps, samples, *shape)
            if spikes:
                self._spikes[name] = np.empty(full, dtype=np.uint8)
            if state:
                self._u[name], self._v[name] = np.empty(full, dtype=np.int64), np.empty(full, dtype=np.int64)
        if network.readout is not None:
            size = network.population(network.readout).size
            self._readout = np.empty((steps, samples, size), dtype=np.int64)

    def add_inputs(self, inputs: IntArray) -> None:
        """Count the non-zero inputs of a batch `[T or 1, B, *shape]`; one image counts at every step."""
        self._counts[INPUT] += np.count_nonzero(inputs, axis=1)

    def add(self, population: Population, result: LifResult, start: int) -> None:
        """Store what `population` did for the samples from `start` on."""
        name, spikes = population.name, result.spikes
        window = slice(start, start + spikes.shape[1])
        self._counts[name] += _sum_samples(spikes).numpy().astype(np.int64)
        self._saturated[name] += result.saturated
        if name in self._spikes:
            self._spikes[name][:, window] = spikes.to(torch.uint8).numpy()
        if result.u is not None and name in self._u:
            self._u[name][:, window] = result.u.numpy()
        if result.v is not None and name in self._v:
            self._v[name][:, window] = result.v.numpy()
        if result.v is not None and self._readout is not None and name == self._network.readout:
            # an arithmetic shift: it rounds toward minus infinity, as Lava's `v // 64` does
            self._readout[:, window] = result.v.flatten(2).numpy().astype(np.int64) >> FRACTION_BITS

    def trace(self, backend: str, wall_s: float, info: Mapping[str, Any]) -> Trace:
        """The finished trace."""
        return Trace(
            backend=backend,
            timesteps=self._network.timesteps,
            samples=self._samples,
            counts=self._counts,
            spikes=self._spikes,
            readout=self._readout,
            saturated=self._saturated,
            u=self._u,
            v=self._v,
            wall_s=wall_s,
            info=info,
        )


def _sum_samples(spikes: torch.Tensor) -> torch.Tensor:
    """Sum of `[T, B, *shape]` over B, exact below 2^24; a product with ones is ten times faster than a sum."""
    ones = torch.ones(1, spikes.shape[1])
    if spikes.dim() != 5:
        return torch.matmul(ones, spikes.flatten(2)).view(spikes.shape[0], *spikes.shape[2:])
    last = spikes.permute(0, 1, 3, 4, 2)
    summed = torch.matmul(ones, last.flatten(2)).view(spikes.shape[0], *last.shape[2:])
    return summed.permute(0, 3, 1, 2)
