"""Which charts a summary deserves: accuracy against the step, against each coefficient, against T."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from neurokd.sweep.chart import STYLES, Frame, Line, draw
from neurokd.sweep.grid import short
from neurokd.sweep.summary import Row, Summary

TITLE = "Test accuracy (mean and standard deviation over seeds)"
STEPS = "timesteps"


@dataclass(frozen=True)
class Chart:
    """A drawing, the name of its file and what it shows."""

    file: str
    caption: str
    svg: str


def charts(summary: Summary) -> list[Chart]:
    """Every chart that has something to show; several where one would have more than six lines."""
    keys = dict.fromkeys(key for row in summary.rows for key in row.settings if key != STEPS)
    found = _against_step(summary) + _against_timesteps(summary)
    for key in keys:
        found += _against(key, summary)
    return found


def number(value: object) -> float | None:
    """The number that a setting is; YAML reads 1e-3 as text.

    >>> number(2), number("1e-3"), number(True), number("adamw")
    (2.0, 0.001, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _against_step(summary: Summary) -> list[Chart]:
    """One line for each row; where T is swept, the largest T alone, the chart against T has the others."""
    rows = [row for row in summary.rows if len(row.accuracy_per_step) > 1]
    swept = [row.timesteps for row in rows if STEPS in row.settings]
    rows = [row for row in rows if not swept or row.timesteps == max(swept)]
    base = [row for row in rows if row.variant == summary.baseline][:1]
    others = [row for row in rows if row not in base]
    made = []
    for part in _parts(others, STYLES - len(base)) or ([[]] if base else []):
        lines = [
            Line(row.name, tuple(enumerate(row.accuracy_per_step, start=1)), style)
            for style, row in enumerate([*base, *part])
        ]
        made.append((lines, Frame(TITLE, "time step t", _whole(max(len(line.spots) for line in lines)))))
    return _named("against-step", "Test accuracy after each time step", made)


def _against_timesteps(summary: Summary) -> list[Chart]:
    """Trained with T steps, beside the network of the largest T, read after fewer steps."""
    made = []
    for part in _parts(list(_groups(STEPS, summary).items()), STYLES // 2):  # two lines each
        lines = []
        for style, (name, rows) in enumerate(part):
            own = tuple((float(row.timesteps), row.accuracy) for row in rows if row.accuracy)
            last = max(rows, key=lambda row: row.timesteps)
            early = tuple((float(t), one) for t, one in enumerate(last.accuracy_per_step, start=1))
            lines += [
                Line(f"{name}: each T trained", own, style),
                Line(f"{name}: T = {last.timesteps} read early", early, style, dashed=True),
            ]
        longest = max(int(x) for line in lines for x, _ in line.spots)
        made.append((lines, Frame(TITLE, "time steps T", _whole(longest))))
    return _named("against-timesteps", "Test accuracy against the number of time steps", made)


def _against(key: str, summary: Summary) -> list[Chart]:
    groups = _groups(key, summary)
    places, evenly = _places({number(row.settings[key]) or 0.0 for rows in groups.values() for row in rows})
    base = [row for row in summary.rows if row.variant == summary.baseline and row.accuracy]
    level = None
    if len(base) == 1 and base[0].accuracy and key not in base[0].settings:
        level = (base[0].name, base[0].accuracy.mean)
    frame = Frame(
        TITLE,
        f"{key} (evenly spaced, not to scale)" if evenly else key,
        tuple((place, f"{value:g}") for value, place in places.items()),
        level,
    )
    made = []
    for part in _parts(list(groups.items()), STYLES):
        lines = [
            Line(
                name,
                tuple((places[number(row.settings[key]) or 0.0], row.accuracy) for row in rows if row.accuracy),
                style,
            )
            for style, (name, rows) in enumerate(part)
        ]
        made.append((lines, frame))
    return _named(f"against-{key}", f"Test accuracy against {key}", made)


def _groups(key: str, summary: Summary) -> dict[str, list[Row]]:
    """Measured rows that differ in the number `key` alone, by what they have in common, in order of the number."""
    groups: dict[str, list[Row]] = {}
    for row in summary.rows:
        if row.accuracy and number(row.settings.get(key)) is not None:
            others = {name: value for name, value in row.settings.items() if name != key}
            groups.setdefault(_name(row, others), []).append(row)
    return {
        name: sorted(rows, key=lambda row: number(row.settings[key]) or 0.0)
        for name, rows in groups.items()
        if len({number(row.settings[key]) for row in rows}) > 1
    }


def _name(row: Row, settings: dict[str, Any]) -> str:
    return ", ".join([row.variant, *(f"{key} {value}" for key, value in short(settings).items())])


def _places(values: set[float]) -> tuple[dict[float, float], bool]:
    """Where values stand on the axis; evenly spaced where some would stand on each other otherwise."""
    ordered = sorted(values)
    gaps = [right - left for left, right in pairwise(ordered)]
    if gaps and min(gaps) < sum(gaps) / 20:
        return {value: float(index) for index, value in enumerate(ordered)}, True
    return {value: value for value in ordered}, False


def _whole(longest: int) -> tuple[tuple[float, str], ...]:
    step = 1 + longest // 16
    return tuple((float(tick), str(tick)) for tick in range(1, longest + 1, step))


def _parts(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _named(stem: str, caption: str, made: Sequence[tuple[list[Line], Frame]]) -> list[Chart]:
    return [
        Chart(f"{stem}.svg" if index == 0 else f"{stem}-{index + 1}.svg", caption, draw(lines, frame))
        for index, (lines, frame) in enumerate(made)
    ]
