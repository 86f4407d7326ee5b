"""Energy estimates as intervals: a point with its range, on a logarithmic axis where the values span decades."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from neurokd.report import svg
from neurokd.report.numbers import energy, picojoules
from neurokd.report.schema import Energy

WIDTH, LEFT, RIGHT, ROW = 480.0, 10.0, 470.0, 44.0


def energy_chart(entries: Sequence[Energy]) -> Markup:
    """One interval per estimate; the axis is logarithmic where the largest is over twenty times the smallest."""
    bounds = [picojoules(value, one.unit) for one in entries for value in (one.low, one.value, one.high)]
    if not bounds or max(bounds) <= 0:
        return Markup("")
    positive = [bound for bound in bounds if bound > 0]
    logarithmic = min(bounds) > 0 and max(bounds) > 20 * min(positive)
    marks = _decades(min(positive), max(positive)) if logarithmic else svg.ticks(0.0, max(bounds), 4)
    low, high = _scaled(marks[0], logarithmic), _scaled(marks[-1], logarithmic)

    def at(value: float, unit: str = "pJ") -> float:
        return svg.place(_scaled(picojoules(value, unit), logarithmic), low, high, LEFT + 6, RIGHT - 30)

    bottom = len(entries) * ROW + 6
    parts = [svg.line(at(mark), 0, at(mark), bottom, "grid") for mark in marks]
    parts += [svg.text(energy(mark, "pJ"), at(mark), bottom + 18, "axis", "middle") for mark in marks]
    for index, one in enumerate(entries):
        y = index * ROW
        name = svg.text(svg.fit(f"{one.what}: {one.label}", WIDTH - 120), LEFT + 6, y + 14, "label")
        span = svg.line(at(one.low, one.unit), y + 30, at(one.high, one.unit), y + 30, f"span {_class(one)}")
        dot = svg.element("circle", cx=at(one.value, one.unit), cy=y + 30, r=5, class_=f"dot-solid {_class(one)}")
        tip = f"{one.label}: {energy(one.value, one.unit)}, {energy(one.low, one.unit)} to {energy(one.high, one.unit)}"
        value = svg.text(energy(one.value, one.unit), RIGHT, y + 14, "value", "end")
        parts.append(svg.group([name, value, span, dot], tip=tip))
    return svg.figure(parts, WIDTH, bottom + 26, "Estimated energy per sample with its range")


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high) - 1e-9)
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def _scaled(value: float, logarithmic: bool) -> float:
    return math.log10(value) if logarithmic else value


def _class(entry: Energy) -> str:
    return "s2" if entry.what == "teacher" else "s1"
