"""What a run of an integer network returns, whichever backend ran it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Trace:
    """One run over `samples` inputs and `timesteps` steps, in sample-aligned time.

    `spikes[population]` is uint8 `[T, B, *shape]` and is empty where only counts were recorded;
    `counts[name]` is int64 `[T, *shape]`, spikes summed over the samples; the entry "input" counts
    the non-zero inputs.
    `readout` is int64 `[T, B, C]`, the read-out membrane `v >> 6` after every step, or None.
    `saturated[population]` counts the (sample, step, neuron) at which v was clipped.
    `u`, `v` are int64 `[T, B, *shape]` by population where the run was asked for them.
    """

    backend: str
    timesteps: int
    samples: int
    counts: Mapping[str, npt.NDArray[np.int64]]
    spikes: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    readout: npt.NDArray[np.int64] | None = None
    saturated: Mapping[str, int] = field(default_factory=dict)
    u: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    v: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    wall_s: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)

    def predictions(self) -> npt.NDArray[np.int64]:
        """Predicted class after every step, `[T, B]`; ties go to the lower class."""
        if self.readout is None:
            raise ValueError(f"trace of {self.backend}: the network has no read-out population")
        return np.asarray(self.readout.argmax(axis=-1), dtype=np.int64)

    def accuracy(self, labels: npt.NDArray[np.integer[Any]]) -> list[float]:
        """Accuracy after every step t = 1..T for `labels` `[B]`."""
        return [float(value) for value in (self.predictions() == labels).mean(axis=1)]
