"""What a sweep has measured so far: one row for each variant and setting, over its seeds."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from neurokd.errors import NeurokdError
from neurokd.report.schema import Result
from neurokd.runs import now
from neurokd.sweep.grid import Point, short
from neurokd.sweep.significance import Gain, Spread, gain, spread
from neurokd.sweep.spec import Sweep
from neurokd.sweep.state import failure_of, state_of

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Row:
    """One variant at one setting. Accuracies, spread and gain are shares of 1; None is not measured yet.

    `accuracy_per_step[t]` is after t + 1 steps; `step_spread` is its largest value less its smallest,
    of each run; `firing_rate` is the mean over the layers in spikes per neuron and step.
    """

    name: str
    variant: str
    settings: dict[str, Any]
    timesteps: int
    method: str
    seeds: dict[int, float]
    planned: int
    accuracy: Spread | None
    accuracy_per_step: list[Spread]
    step_spread: Spread | None
    gain: Gain | None
    firing_rate: Spread | None
    train_seconds: Spread | None


@dataclass(frozen=True)
class Summary:
    """Everything that `sweep.json` says; `states` are of the single runs, `failures` the reasons."""

    name: str
    title: str
    baseline: str | None
    data: str | None
    test_images: int | None
    teachers: list[dict[str, Any]]
    states: dict[str, str]
    failures: dict[str, str]
    rows: list[Row]

    @property
    def missing(self) -> list[str]:
        """The runs that are not finished."""
        return [name for name, state in self.states.items() if state != "finished"]

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the mark of each gain."""
        values = {"format": 1, "created": now(), **asdict(self), "missing": self.missing}
        for row, plain in zip(self.rows, values["rows"], strict=True):
            if row.gain is not None:
                plain["gain"]["mark"] = row.gain.mark
        return values


def summarise(sweep: Sweep, points: Sequence[Point]) -> Summary:
    """Read the results of the finished points; NeurokdError for one that is damaged or of another recipe."""
    states = {point.run.path.name: state_of(point) for point in points}
    results = {p.run.path: _result(p) for p in points if states[p.run.path.name] == "finished"}
    groups: dict[Key, list[Point]] = {}
    for point in points:
        groups.setdefault(_key(point), []).append(point)
    accuracies = {
        key: {p.seed: results[p.run.path].student.accuracy for p in group if p.run.path in results}
        for key, group in groups.items()
    }
    first = next(iter(results.values()), None)
    return Summary(
        name=sweep.name,
        title=sweep.title,
        baseline=sweep.baseline,
        data=first.data.name if first else None,
        test_images=min((result.data.test for result in results.values()), default=None),
        teachers=_teachers(list(results.values())),
        states=dict(states),
        failures={p.run.path.name: failure_of(p.run.path) for p in points if states[p.run.path.name] == "failed"},
        rows=[
            _row(group, [results[p.run.path] for p in group if p.run.path in results], accuracies, sweep)
            for group in groups.values()
        ],
    )


def _key(point: Point) -> Key:
    return point.variant, repr(point.shared), repr(point.own)


def _row(group: list[Point], results: list[Result], accuracies: dict[Key, dict[int, float]], sweep: Sweep) -> Row:
    point = group[0]
    students = [result.student for result in results]
    steps = [student.accuracy_per_step for student in students if student.accuracy_per_step]
    reference = None
    if sweep.baseline is not None and point.variant != sweep.baseline:
        reference = accuracies[sweep.baseline, repr(point.shared), repr({})]
    return Row(
        name=_name(point, sweep),
        variant=point.variant,
        settings=point.settings,
        timesteps=point.recipe.timesteps,
        method=point.recipe.method.name,
        seeds=accuracies[_key(point)],
        planned=len(group),
        accuracy=spread([student.accuracy for student in students]),
        accuracy_per_step=[one for values in zip(*steps, strict=True) if (one := spread(values))],
        step_spread=spread([max(values) - min(values) for values in steps]),
        gain=None if reference is None else gain(accuracies[_key(point)], reference),
        firing_rate=spread([statistics.fmean(s.firing_rate.values()) for s in students if s.firing_rate]),
        train_seconds=spread([r.wall_s.student for r in results if r.wall_s.student is not None]),
    )


def _name(point: Point, sweep: Sweep) -> str:
    settings = [f"{key} {value}" for key, value in short(point.settings).items()]
    return ", ".join(settings if settings and len(sweep.variants) == 1 else [point.variant, *settings])


def _teachers(results: list[Result]) -> list[dict[str, Any]]:
    """Model and test accuracy of every teacher; several where a grid changes the teacher."""
    found = {(result.teacher.model, result.teacher.accuracy) for result in results if result.teacher}
    return [{"model": model, "accuracy": accuracy} for model, accuracy in sorted(found)]


def _result(point: Point) -> Result:
    path = point.run.path / "result.json"
    try:
        return Result.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise NeurokdError(f"'{path}': damaged: {where}: {first['msg']}; delete it to measure the run again") from error
