"""Means over seeds, their spread, and whether a difference is more than chance."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SAME = 1e-9  # differences closer than this are equal but for rounding


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1) over seeds; one seed has no deviation."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Gain:
    """The mean difference to the baseline over the seeds that both have; `p` is two-sided."""

    mean: float
    p: float | None
    n: int

    @property
    def mark(self) -> str:
        """`*` below p = 0.05, `**` below 0.01."""
        if self.p is None or self.p >= 0.05:
            return ""
        return "**" if self.p < 0.01 else "*"


def spread(values: Sequence[float]) -> Spread | None:
    """Mean and sample standard deviation; None of nothing.

    >>> spread([0.90, 0.92, 0.94])
    Spread(mean=0.92, sd=0.02, n=3)
    """
    if not values:
        return None
    sd = round(statistics.stdev(values), 12) if len(values) > 1 else None
    return Spread(round(statistics.fmean(values), 12), sd, len(values))


def gain(values: Mapping[int, float], baseline: Mapping[int, float]) -> Gain | None:
    """Compare by seed with a paired t-test, two-sided; None without a common seed.

    `t = mean(d) / (sd(d) / sqrt(n))` with `n - 1` degrees of freedom. There is no `p` with fewer
    than two common seeds, nor where all differences are equal: the test does not apply then.

    >>> gain({0: 0.93, 1: 0.95}, {0: 0.91, 1: 0.93})
    Gain(mean=0.02, p=None, n=2)
    """
    from scipy.stats import ttest_rel

    seeds = sorted(set(values) & set(baseline))
    if not seeds:
        return None
    differences = [values[seed] - baseline[seed] for seed in seeds]
    mean = round(statistics.fmean(differences), 12)
    if len(seeds) < 2 or max(differences) - min(differences) < SAME:
        return Gain(mean, None, len(seeds))
    p = float(ttest_rel([values[seed] for seed in seeds], [baseline[seed] for seed in seeds]).pvalue)
    return Gain(mean, p if math.isfinite(p) else None, len(seeds))
