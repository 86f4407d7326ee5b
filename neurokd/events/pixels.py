"""The pixel of an event camera: it fires whenever the logarithm of its light has changed by a threshold."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.events.recording import Array

LOWEST_THRESHOLD = 0.1  # of the mean: mismatch makes no pixel more sensitive than this


@dataclass(frozen=True)
class PixelSettings:
    """How the pixels of a simulated sensor behave; a value outside its range raises NeurokdError.

    `threshold`: change of the natural logarithm of the light per event, > 0. `mismatch`: relative standard deviation of
    the thresholds between pixels, >= 0. `refractory_us`: after an event a pixel is silent for so long, >= 0; what it
    crosses meanwhile is lost. `noise_hz`: events per pixel and second without a cause, >= 0, not held back by
    `refractory_us`. `dark`: light that every pixel sees besides the image, > 0, where white is 1.
    """

    threshold: float = 0.3
    mismatch: float = 0.0
    refractory_us: float = 0.0
    noise_hz: float = 0.0
    dark: float = 0.1

    def __post_init__(self) -> None:
        for name in ("threshold", "dark"):
            if not 0 < getattr(self, name) < np.inf:
                raise NeurokdError(f"sensor: {name} is {getattr(self, name)}, allowed is more than 0")
        for name in ("mismatch", "refractory_us", "noise_hz"):
            if not 0 <= getattr(self, name) < np.inf:
                raise NeurokdError(f"sensor: {name} is {getattr(self, name)}, allowed is 0 and more")

    def thresholds(self, pixels: int, seed: int) -> Array:
        """Return the threshold of every pixel, `[pixels]`: those of one sensor, the same for all its recordings."""
        spread = np.random.RandomState(seed).standard_normal(pixels)
        return self.threshold * np.maximum(1 + self.mismatch * spread, LOWEST_THRESHOLD)


@dataclass(frozen=True, eq=False)
class Crossings:
    """Events `[N]` in no order: position in the flattened light, time in us (float), 1 for brighter, else 0."""

    position: Array
    time_us: Array
    polarity: Array


def crossings(light: Iterable[tuple[float, Array]], thresholds: Array, refractory_us: float = 0.0) -> Crossings:
    """Return the events of pixels whose `light` is known at some moments, as pairs (time in us, logarithm `[M]`).

    Between two moments the logarithm is a straight line (Rebecq et al. 2018, ESIM). A pixel remembers the level of its
    last event, at first the first light, and fires at every crossing of level + or - its threshold (`[M]`).

    >>> found = crossings([(0, np.array([0.0])), (100, np.array([-1.0]))], thresholds=np.array([0.4]))
    >>> found.time_us.tolist(), found.polarity.tolist()
    ([40.0, 80.0], [0, 0])
    """
    moments = pairwise(light)
    found: list[tuple[Array, Array, Array]] = []
    level = last = np.zeros(0)
    for (start_us, before), (stop_us, after) in moments:
        if not len(level):
            level, last = before.copy(), np.full(len(before), -np.inf)
        change = after - level
        at = np.flatnonzero((np.abs(change) >= thresholds) & (after != before))
        sign, step, start = np.sign(change[at]), thresholds[at], level[at]
        count = np.floor(np.abs(change[at]) / step)
        speed_us = (stop_us - start_us) / (after[at] - before[at])
        for number in range(1, int(count.max(initial=0)) + 1):
            fires = count >= number
            crossed = start[fires] + sign[fires] * (number * step[fires])
            time = start_us + (crossed - before[at[fires]]) * speed_us[fires]
            ready = time - last[at[fires]] >= refractory_us
            where = at[fires][ready]
            last[where] = time[ready]
            found.append((where, time[ready], sign[fires][ready] > 0))
        level[at] = start + sign * (count * step)
    columns = [np.concatenate(column) for column in zip(*found, strict=True)] or [np.zeros(0)] * 3
    return Crossings(columns[0].astype(np.int64), columns[1], columns[2].astype(np.uint8))
