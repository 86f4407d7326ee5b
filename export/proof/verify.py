"""Compares two runs of one network value by value and finds the first difference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from neurokd.errors import NeurokdError
from neurokd.hardware.trace import Trace

READOUT = "read-out"
Array = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Difference:
    """Where two traces differ: `values` are those of the first and of the second trace."""

    population: str
    step: int
    sample: int
    neuron: tuple[int, ...]
    values: tuple[int, int]

    def describe(self) -> str:
        """One phrase, e.g. `'conv1' at step 3, sample 0, neuron (2, 5, 5): 1 and 0`."""
        first, second = self.values
        where = f"step {self.step}, sample {self.sample}, neuron {self.neuron}"
        return f"'{self.population}' at {where}: {first} and {second}"


@dataclass(frozen=True)
class Count:
    """How many values were compared and how many differ."""

    compared: int
    mismatches: int


@dataclass(frozen=True)
class Comparison:
    """The outcome of `compare`: spikes per population, the read-out, and the first difference."""

    backends: tuple[str, str]
    populations: Mapping[str, Count]
    readout: Count | None
    first: Difference | None = field(default=None)

    @property
    def compared(self) -> int:
        """Values compared in all."""
        return sum(count.compared for count in self._counts())

    @property
    def mismatches(self) -> int:
        """Values that differ in all."""
        return sum(count.mismatches for count in self._counts())

    def _counts(self) -> list[Count]:
        return [*self.populations.values(), *([] if self.readout is None else [self.readout])]

    def describe(self) -> str:
        """One line: how many of how many values differ, and where the first one is."""
        pair = f"{self.backends[0]} and {self.backends[1]}"
        if self.first is None:
            return f"{pair}: 0 of {self.compared} values differ"
        return f"{pair}: {self.mismatches} of {self.compared} values differ; first: {self.first.describe()}"

    def to_json(self) -> dict[str, Any]:
        """Plain values for a report or a manifest."""
        first = self.first
        return {
            "backends": list(self.backends),
            "compared": self.compared,
            "mismatches": self.mismatches,
            "layers": [{"name": name, **vars(count)} for name, count in self.populations.items()],
            "readout": None if self.readout is None else vars(self.readout),
            "first_difference": None
            if first is None
            else {**vars(first), "neuron": list(first.neuron), "values": list(first.values)},
        }


def compare(a: Trace, b: Trace) -> Comparison:
    """Compare the spikes of every population, and the read-out, at every step of every sample.

    The first difference is the earliest in time; within a step it is that of the earliest
    population in the order of `a`, where a fault shows before it spreads.

    Raises NeurokdError if the traces are not of one run: other populations, shapes, steps or
    samples, a read-out in one alone, or nothing to compare.

    >>> spikes = np.zeros((2, 1, 3), dtype=np.uint8)
    >>> trace = Trace("integer", 2, 1, counts={}, spikes={"fc": spikes})
    >>> compare(trace, trace).describe()
    'integer and integer: 0 of 6 values differ'
    """
    pairs = _pairs(a, b)
    counts = {name: Count(x.size, int(np.count_nonzero(x != y))) for name, (x, y) in pairs.items()}
    readout = counts.pop(READOUT) if a.readout is not None else None
    return Comparison((a.backend, b.backend), counts, readout, _first(pairs))


def _pairs(a: Trace, b: Trace) -> dict[str, tuple[Array, Array]]:
    who = f"traces of {a.backend} and {b.backend}"
    if (a.timesteps, a.samples) != (b.timesteps, b.samples):
        raise NeurokdError(
            f"{who}: {a.timesteps} and {b.timesteps} steps, {a.samples} and {b.samples} samples; they must be equal"
        )
    if set(a.spikes) != set(b.spikes):
        lonely = sorted(set(a.spikes) ^ set(b.spikes))
        raise NeurokdError(f"{who}: populations {lonely} are in one of them alone; record the same in both")
    if not a.spikes or not all(spikes.size for spikes in a.spikes.values()):
        raise NeurokdError(f"{who}: there are no spikes to compare; record spikes, not counts, of one sample or more")
    if (a.readout is None) != (b.readout is None):
        raise NeurokdError(f"{who}: one of them has no read-out; record it in both")
    pairs: dict[str, tuple[Array, Array]] = {name: (spikes, b.spikes[name]) for name, spikes in a.spikes.items()}
    if a.readout is not None and b.readout is not None:
        pairs[READOUT] = (a.readout, b.readout)
    for name, (x, y) in pairs.items():
        if x.shape != y.shape or x.shape[:2] != (a.timesteps, a.samples):
            raise NeurokdError(
                f"{who}: '{name}' has shapes {x.shape} and {y.shape}, both must be "
                f"[{a.timesteps}, {a.samples}, ...] of one network"
            )
    return pairs


def _first(pairs: Mapping[str, tuple[Array, Array]]) -> Difference | None:
    found: list[Difference] = []
    for name, (x, y) in pairs.items():
        differs = np.asarray(x != y)
        if differs.any():
            index = tuple(int(i) for i in np.unravel_index(int(differs.argmax()), differs.shape))
            found.append(Difference(name, index[0], index[1], index[2:], (int(x[index]), int(y[index]))))
    return min(found, key=lambda difference: difference.step, default=None)
