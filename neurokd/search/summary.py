"""What a search found: the best subnets, what accuracy goes with, and whether the spread is more than chance."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from neurokd.search.chance import Rank, SpreadTest, gain_of_larger, rank_correlation, spread_test
from neurokd.search.evaluate import Judge
from neurokd.search.retrain import Retrained
from neurokd.search.space import Space
from neurokd.search.spec import Search
from neurokd.search.trials import Trial, distinct

TOP = 10


@dataclass(frozen=True)
class Calibration:
    """Accuracies of the median subnet with BN statistics from other training images, and their deviation (n - 1)."""

    accuracies: tuple[float, ...]
    sd: float


@dataclass(frozen=True)
class Summary:
    """`by_choice` is the mean accuracy of each choice of each axis.

    Correlations and spread are over the distinct sampled subnets; the two extremes are not among them by right.
    """

    data: str
    images: int
    sampled: int
    top: tuple[Trial, ...]
    median: Trial
    worst: Trial
    largest: Trial
    smallest: Trial
    with_macs: Rank | None
    with_parameters: Rank | None
    larger_half_gain: float | None
    by_choice: dict[str, dict[int, float]]
    spread: SpreadTest | None
    calibration: Calibration
    retrained: tuple[Retrained, ...]

    def to_json(self, search: Search) -> dict[str, Any]:
        """The content of `search.json`; of a trial the number of wrong images, whose positions `subnets.jsonl` has."""
        values = asdict(self)
        for key in ("median", "worst", "largest", "smallest"):
            values[key] = _short(getattr(self, key))
        values["top"] = [_short(trial) for trial in self.top]
        head = {"format": 1, "name": search.name, "sampler": search.sampler, "seed": search.seed}
        space = {**search.space.model_dump(), "subnets": search.space.count}
        return {**head, "method": search.base.method.name, "timesteps": search.base.timesteps, "space": space, **values}


def summarise(search: Search, judge: Judge, trials: Sequence[Trial], retrained: Sequence[Retrained]) -> Summary:
    """Summarise the trials of `evaluate_subnets`: the largest, the smallest, then those that were sampled."""
    largest, smallest, *rest = trials
    sampled = distinct(rest)
    ranked = sorted(sampled, key=lambda trial: (len(trial.wrong), trial.macs, trial.subnet.name))
    median = ranked[len(ranked) // 2]
    accuracies = judge.repeated(median.subnet)
    accuracy = [trial.accuracy for trial in sampled]
    return Summary(
        data=judge.dataset,
        images=largest.images,
        sampled=len(sampled),
        top=tuple(ranked[:TOP]),
        median=median,
        worst=ranked[-1],
        largest=largest,
        smallest=smallest,
        with_macs=rank_correlation(accuracy, [trial.macs for trial in sampled]),
        with_parameters=rank_correlation(accuracy, [trial.parameters for trial in sampled]),
        larger_half_gain=gain_of_larger(accuracy, [trial.macs for trial in sampled]),
        by_choice=by_choice(search.space, sampled),
        spread=spread_test([trial.wrong for trial in sampled], largest.images, search.seed),
        calibration=Calibration(tuple(accuracies), statistics.stdev(accuracies)),
        retrained=tuple(retrained),
    )


def by_choice(space: Space, trials: Sequence[Trial]) -> dict[str, dict[int, float]]:
    """Mean accuracy of the trials that took each choice, by the names of the axes; a choice nobody took is left out."""
    means: dict[str, dict[int, float]] = {}
    for axis, (name, choices) in enumerate(zip(space.names, space.axes, strict=True)):
        taken = {
            choice: [t.accuracy for t in trials if (*t.subnet.channels, *t.subnet.depths)[axis] == choice]
            for choice in choices
        }
        means[name] = {choice: statistics.fmean(values) for choice, values in taken.items() if values}
    return means


def _short(trial: Trial) -> dict[str, Any]:
    return {**asdict(trial), "wrong": len(trial.wrong), "accuracy": trial.accuracy}
