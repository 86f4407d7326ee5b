"""Accuracy as lines with error bars, an SVG file that stands alone and follows light and dark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from markupsafe import Markup

from neurokd.report import svg
from neurokd.sweep.significance import Spread

STYLES = 6  # colours in chart.css; a chart has no more
WIDTH = 640.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 622.0, 40.0, 316.0
LEGEND, ROW = BOTTOM + 62.0, 20.0  # first line of the legend, height of one; it has two columns
LEAST = 0.01  # the y axis spans a percentage point or more, so that chance does not look like a trend
DODGE = 4.0  # pixels between styles at one x, so that error bars do not hide each other


@dataclass(frozen=True)
class Line:
    """One line: positions on the x axis with the accuracy there; `style` counts from 0."""

    name: str
    spots: tuple[tuple[float, Spread], ...]
    style: int
    dashed: bool = False


@dataclass(frozen=True)
class Frame:
    """What the chart says around its lines; `ticks` are positions and labels, `level` an accuracy across the chart."""

    title: str
    x_name: str
    ticks: tuple[tuple[float, str], ...]
    level: tuple[str, float] | None = None


def draw(lines: Sequence[Line], frame: Frame) -> str:
    """The SVG document; error bars are one standard deviation."""
    marks = svg.ticks(*_range(lines, frame))
    xs = [x for x, _ in frame.ticks] + [x for line in lines for x, _ in line.spots]
    low, high = (min(xs), max(xs)) if max(xs) > min(xs) else (min(xs) - 0.5, min(xs) + 0.5)

    def across(x: float) -> float:
        return svg.place(x, low, high, LEFT + 24, RIGHT - 24)

    def up(y: float) -> float:
        return svg.place(y, marks[0], marks[-1], BOTTOM, TOP)

    parts = [_y_mark(mark, up(mark)) for mark in marks]
    parts += [svg.text(label, across(x), BOTTOM + 18, "axis", "middle") for x, label in frame.ticks]
    parts.append(svg.text(frame.x_name, (LEFT + RIGHT) / 2, BOTTOM + 38, "axis", "middle"))
    if frame.level:
        parts.append(svg.line(LEFT, up(frame.level[1]), RIGHT, up(frame.level[1]), "level"))
    middle = max(line.style for line in lines) / 2
    for line in lines:
        aside = DODGE * (line.style - middle)
        parts.append(_line(line, [(across(x) + aside, up(y.mean)) for x, y in line.spots], up))
    entries = [(line.name, _style(line)) for line in lines] + ([(frame.level[0], "level")] if frame.level else [])
    parts += [_entry(name, style, index) for index, (name, style) in enumerate(entries)]
    return _document(parts, frame.title, LEGEND + ROW * ((len(entries) + 1) // 2))


def _range(lines: Sequence[Line], frame: Frame) -> tuple[float, float]:
    ends = [end for line in lines for _, y in line.spots for end in (y.mean - (y.sd or 0), y.mean + (y.sd or 0))]
    ends += [frame.level[1]] if frame.level else []
    low, high = min(ends), max(ends)
    spare = max(0.0, LEAST - (high - low)) / 2
    return max(0.0, low - spare), min(1.0, high + spare)


def _line(line: Line, spots: list[tuple[float, float]], up: Callable[[float], float]) -> Markup:
    style = f"s{line.style % STYLES + 1}"
    parts = [svg.path(spots, _style(line))]
    for (x, y), (_, value) in zip(spots, line.spots, strict=True):
        if value.sd:
            ends = [min(max(up(value.mean + sign * value.sd), TOP), BOTTOM) for sign in (-1, 1)]
            parts.append(svg.line(x, ends[0], x, ends[1], f"bar {style}"))
            parts += [svg.line(x - 3, end, x + 3, end, f"bar {style}") for end in ends]
        dot = svg.element("circle", cx=x, cy=y, r=3.5, class_=f"dot {style}")
        parts.append(svg.group([dot], tip=f"{line.name}: {_percent(value)}"))
    return svg.group(parts)


def _style(line: Line) -> str:
    return f"line s{line.style % STYLES + 1}" + (" dashed" if line.dashed else "")


def _percent(value: Spread) -> str:
    bar = "" if value.sd is None else f" ± {100 * value.sd:.2f}"
    return f"{100 * value.mean:.2f}{bar} %, n = {value.n}"


def _y_mark(mark: float, y: float) -> Markup:
    label = svg.text(f"{round(100 * mark, 6):g} %", LEFT - 8, y + 4, "axis", "end")
    return svg.group([svg.line(LEFT, y, RIGHT, y, "grid"), label])


def _entry(name: str, style: str, index: int) -> Markup:
    width = (RIGHT - LEFT) / 2
    x, y = LEFT + width * (index % 2), LEGEND + ROW * (index // 2)
    return svg.group(
        [svg.line(x, y - 4, x + 24, y - 4, style), svg.text(svg.fit(name, width - 40), x + 32, y)], tip=name
    )


def _document(parts: Sequence[Markup], title: str, height: float) -> str:
    style = svg.element("style", Markup((files("neurokd.sweep") / "chart.css").read_text(encoding="utf-8")))
    paper = svg.element("rect", width=WIDTH, height=height, class_="paper")
    heading = svg.text(title, LEFT, 20)
    content = Markup("").join([svg.element("title", title), style, paper, heading, *parts])
    space = "http://www.w3.org/2000/svg"
    box = f"0 0 {WIDTH:g} {height:g}"
    return str(svg.element("svg", content, xmlns=space, viewBox=box, width=WIDTH, height=height, role="img")) + "\n"
