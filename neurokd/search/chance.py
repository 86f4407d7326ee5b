"""Whether the architecture matters: rank correlations, and the spread against chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ROUNDS = 1000  # permutations; the smallest p they can show is 1 / (ROUNDS + 1)
MEMORY = 2**24  # numbers that one piece of the permutations may hold

_Statistic = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rank:
    """Spearman's rank correlation, and its two-sided p-value under independence."""

    rho: float
    p: float


@dataclass(frozen=True)
class Against:
    """A measured figure, and what chance gives: mean, 95th percentile, share of draws at least as large."""

    measured: float
    by_chance: float
    by_chance_95: float
    p: float


@dataclass(frozen=True)
class SpreadTest:
    """Spread of the accuracies of subnets: best less worst, and standard deviation (n), each against chance."""

    subnets: int
    images: int
    range: Against
    deviation: Against


def rank_correlation(xs: Sequence[float], ys: Sequence[float]) -> Rank | None:
    """Spearman's rho; None of fewer than three pairs or where all values of one side are equal.

    >>> rank_correlation([1, 2, 3, 4, 5], [10, 20, 30, 50, 40]).rho
    0.9
    """
    from scipy.stats import spearmanr

    if len(xs) < 3 or len(set(xs)) == 1 or len(set(ys)) == 1:
        return None
    found = spearmanr(xs, ys)
    return Rank(round(float(found.statistic), 12), float(found.pvalue))


def gain_of_larger(accuracies: Sequence[float], sizes: Sequence[float]) -> float | None:
    """Mean accuracy of the larger half less that of the smaller half; None of fewer than two.

    >>> round(gain_of_larger([0.90, 0.92, 0.94, 0.96], [1, 2, 3, 4]), 6)
    0.04
    """
    order = [accuracy for _, accuracy in sorted(zip(sizes, accuracies, strict=True))]
    half = len(order) // 2
    return float(np.mean(order[-half:]) - np.mean(order[:half])) if half else None


def spread_test(wrong: Sequence[Sequence[int]], images: int, seed: int = 0) -> SpreadTest | None:
    """Whether subnets differ by more than chance, from the images that each gets wrong; None of fewer than two.

    The best of many equal subnets looks better than the worst. Under the hypothesis that the architecture does not
    matter, the answers to one image may be exchanged between subnets: every round shuffles them image by image, which
    keeps how hard each image is. For the deviation this is the permutation form of Cochran's Q test (Cochran 1950);
    it sees small systematic differences that the range misses. It tests the answers of these trained weights, not
    what another training would give.
    """
    if len(wrong) < 2:
        return None
    failures = np.bincount(np.concatenate([np.asarray(one, dtype=np.int64) for one in wrong]), minlength=images)
    mixed = failures[(failures > 0) & (failures < len(wrong))]  # the others shift all subnets alike
    drawn = _shuffled_errors(mixed, len(wrong), np.random.RandomState(seed)) / images
    errors = np.array([[len(one) for one in wrong]]) / images
    return SpreadTest(
        len(wrong), images, _against(np.ptp(errors, axis=1), np.ptp(drawn, axis=1)),
        _against(errors.std(axis=1), drawn.std(axis=1)),
    )  # fmt: skip


def _against(measured: _Statistic, drawn: _Statistic) -> Against:
    value = float(measured[0])
    reached = int((drawn >= value - 1e-12).sum())  # equal counts of errors are equal, whatever rounding says
    return Against(value, float(drawn.mean()), float(np.percentile(drawn, 95)), (1 + reached) / (1 + len(drawn)))


def _shuffled_errors(
    failures: npt.NDArray[np.int64], subnets: int, generator: np.random.RandomState
) -> npt.NDArray[np.int64]:
    """Errors `[ROUNDS, subnets]` after other `failures[k]` subnets, drawn anew, miss image k."""
    errors = np.zeros((ROUNDS, subnets), dtype=np.int64)
    piece = max(1, MEMORY // max(1, subnets * len(failures)))
    for start in range(0, ROUNDS, piece):
        rounds = min(piece, ROUNDS - start)
        order = generator.random_sample((rounds, len(failures), subnets)).argsort(axis=-1)
        errors[start : start + rounds] = (order < failures[:, None]).sum(axis=1)
    return errors
