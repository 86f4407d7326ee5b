"""Line charts: accuracy against time steps, training curves by epoch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from neurokd.report import svg

WIDTH, HEIGHT = 480.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 468.0, 40.0, 254.0
STYLES = 6  # line styles in report.css; a seventh series would repeat the first


@dataclass(frozen=True)
class Series:
    """A line through `points`, or a level across the chart where there is one point without x."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Frame:
    """What a line chart says around its lines.

    The y axis stays between `floor` and `ceiling` and spans `least` or more, so that chance does not look like a trend.
    """

    label: str
    x_name: str
    y_format: Callable[[float], str]
    level: tuple[str, float] | None = None
    mark: tuple[str, float] | None = None
    floor: float = 0.0
    ceiling: float = math.inf
    least: float = 0.0


def line_chart(series: Sequence[Series], frame: Frame) -> Markup:
    """Lines on axes fitted to the data; empty where there is nothing to draw."""
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points] + ([frame.level[1]] if frame.level else [])
    if not xs:
        return Markup("")
    marks = _marks(ys, frame)
    low, high = min([*marks, *ys]), max([*marks, *ys])
    x_low, x_high = (min(xs), max(xs)) if max(xs) > min(xs) else (min(xs) - 0.5, min(xs) + 0.5)

    def at(x: float, y: float) -> tuple[float, float]:
        return svg.place(x, x_low, x_high, LEFT + 12, RIGHT - 12), svg.place(y, low, high, BOTTOM, TOP)

    parts = [_y_mark(frame.y_format(mark), at(x_low, mark)[1]) for mark in marks]
    parts += [svg.text(str(x), at(x, low)[0], BOTTOM + 18, "axis", "middle") for x in _whole_ticks(x_low, x_high)]
    parts.append(svg.text(frame.x_name, (LEFT + RIGHT) / 2, BOTTOM + 38, "axis", "middle"))
    if frame.mark:
        parts.append(_vertical(frame.mark[0], at(frame.mark[1], low)[0]))
    if frame.level:
        y = at(x_low, frame.level[1])[1]
        parts.append(
            svg.group(
                [svg.line(LEFT, y, RIGHT, y, "level-line")], tip=f"{frame.level[0]}: {frame.y_format(frame.level[1])}"
            )
        )
    for index, one in enumerate(series):
        parts.append(_line(one, index, [at(x, y) for x, y in one.points], frame))
    entries = [(one.name, f"line {_style(index)}") for index, one in enumerate(series)]
    parts.append(_legend([*entries, (frame.level[0], "level-line")] if frame.level else entries))
    return svg.figure(parts, WIDTH, HEIGHT, frame.label)


def _marks(ys: list[float], frame: Frame) -> list[float]:
    low, high = min(ys), max(ys)
    spare = max(0.0, frame.least - (high - low)) / 2
    low, high = max(frame.floor, low - spare), min(frame.ceiling, high + spare)
    return [mark for mark in svg.ticks(low, high, 5) if frame.floor - 1e-9 <= mark <= frame.ceiling + 1e-9]


def _style(index: int) -> str:
    return f"s{index % STYLES + 1}"


def _whole_ticks(low: float, high: float) -> list[int]:
    return sorted({round(mark) for mark in svg.ticks(low, high, 6) if low <= mark <= high and mark == round(mark)})


def _y_mark(label: str, y: float) -> Markup:
    return svg.group([svg.line(LEFT, y, RIGHT, y, "grid"), svg.text(label, LEFT - 8, y + 4, "axis", "end")])


def _vertical(name: str, x: float) -> Markup:
    anchor = "end" if x > (LEFT + RIGHT) / 2 else "start"
    return svg.group([svg.line(x, TOP, x, BOTTOM, "mark"), svg.text(name, x, TOP - 5, "axis", anchor)])


def _line(series: Series, index: int, spots: list[tuple[float, float]], frame: Frame) -> Markup:
    style = _style(index)
    parts = [svg.path(spots, f"line {style}")]
    radius = (4.5 - min(index, 1)) if len(spots) <= 12 else 2.5
    if len(spots) <= 60:
        for (x, y), (x_value, y_value) in zip(spots, series.points, strict=True):
            dot = svg.element("circle", cx=x, cy=y, r=radius, class_=f"dot {style}")
            parts.append(svg.group([dot], tip=f"{series.name}, {frame.x_name} {x_value:g}: {frame.y_format(y_value)}"))
    return svg.group(parts, tip=series.name)


def _legend(entries: list[tuple[str, str]]) -> Markup:
    parts, x = [], LEFT
    for name, style in entries:
        shown = svg.fit(name, (RIGHT - LEFT) / len(entries) - 40)
        parts += [svg.line(x, 14, x + 20, 14, style), svg.text(shown, x + 26, 18, "axis")]
        x += (RIGHT - LEFT) / len(entries)
    return svg.group(parts)
