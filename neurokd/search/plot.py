"""The parallel-coordinates plot of a search, as an SVG file that stands on its own."""

from collections.abc import Sequence

from markupsafe import Markup

from neurokd.report import svg
from neurokd.report.numbers import percent
from neurokd.search.space import Space
from neurokd.search.trials import Trial

HEIGHT, TOP, BOTTOM = 420.0, 62.0, 382.0
LEFT, RIGHT, GAP = 46.0, 84.0, 108.0  # margins, and the distance between two axes
BAND = 0.72  # how much of the distance between two choices the lines of one choice may fill
CLASSES = 6  # colours, from the lowest to the highest accuracy

_LIGHT = ("#e9a23b", "#e0713f", "#c94a5a", "#9f3a7c", "#6a3391", "#2f2a80")
_DARK = ("#6a5ac8", "#9558bd", "#c05fa0", "#e2737d", "#f49a5c", "#fcd766")
_STYLE = """
svg { --paper: #ffffff; --ink: #12161c; --soft: #58626f; --rule: #b9c1cc; font: 12px system-ui, -apple-system,
  'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial, sans-serif; }
text { fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
.axis { fill: var(--soft); } .head { font-weight: 600; } .paper { fill: var(--paper); }
.rule { stroke: var(--rule); stroke-width: 1; }
.choice { stroke: var(--rule); stroke-width: 7; stroke-linecap: round; stroke-opacity: 0.45; }
.line { fill: none; stroke-width: 1.3; stroke-opacity: 0.7; stroke-linejoin: round; }
.best { fill: none; stroke-width: 3.2; stroke-linejoin: round; stroke-linecap: round; }
"""


def parallel_coordinates(space: Space, trials: Sequence[Trial], title: str) -> Markup:
    """One line for each trial through the width and depth of every stage to its accuracy, which colours it.

    Lines of one choice lie side by side, the more accurate above, so that each choice shows what it leads to. The
    most accurate line is thick. Raises ValueError for no trials.
    """
    if not trials:
        raise ValueError("parallel_coordinates: no trials were given")
    ordered = sorted(trials, key=lambda trial: (trial.accuracy, -trial.macs))
    marks = svg.ticks(ordered[0].accuracy, ordered[-1].accuracy, 6)
    marks = [mark for mark in marks if 0.0 <= mark <= 1.0]
    low, high = min(marks[0], ordered[0].accuracy), max(marks[-1], ordered[-1].accuracy)
    columns = [LEFT + GAP * (index + 0.1) for index in range(len(space.axes) + 1)]
    width = columns[-1] + RIGHT
    parts = [Markup(f"<style>{_style()}</style>"), svg.element("rect", width=width, height=HEIGHT, class_="paper")]
    parts.append(svg.text(title, LEFT - 30, 22, "head"))
    parts += [svg.line(x, TOP - 8, x, BOTTOM + 8, "rule") for x in columns]
    parts += [_band(index, len(choices), x) for x, choices in _axes(space, columns) for index in range(len(choices))]
    for rank, trial in enumerate(ordered):
        share = rank / max(1, len(ordered) - 1)
        spots = [*_spots(space, trial, share, columns), (columns[-1], _height(trial.accuracy, low, high))]
        kind = "best" if trial is ordered[-1] else "line"
        tip = f"{trial.subnet.name}: {percent(trial.accuracy, trial.images)}"
        parts.append(svg.group([svg.path(spots, f"{kind} {_colour(trial.accuracy, ordered)}")], tip=tip))
    parts += _labels(space, columns)
    parts += [_mark(mark, columns[-1], low, high) for mark in marks]
    return svg.element(
        "svg",
        Markup("").join([svg.element("title", title), *parts]),
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width:g} {HEIGHT:g}", role="img",
    )  # fmt: skip


def _spots(space: Space, trial: Trial, share: float, columns: Sequence[float]) -> list[tuple[float, float]]:
    """Where a line crosses the axes of widths and depths; `share` is its rank, 0 for the least accurate."""
    values = (*trial.subnet.channels, *trial.subnet.depths)
    return [
        (x, _choice(choices.index(value), len(choices), share))
        for (x, choices), value in zip(_axes(space, columns), values, strict=True)
    ]


def _axes(space: Space, columns: Sequence[float]) -> list[tuple[float, list[int]]]:
    """The axes of widths and depths, without that of accuracy, which is the last column."""
    return list(zip(columns[:-1], space.axes, strict=True))


def _band(index: int, count: int, x: float) -> Markup:
    """Where the lines of a choice cross its axis."""
    return svg.line(x, _choice(index, count, 0.0), x, _choice(index, count, 1.0), "choice")


def _choice(index: int, count: int, share: float = 0.5) -> float:
    """The height of a choice: each has an equal part of the axis, the largest above."""
    part = (BOTTOM - TOP) / count
    return BOTTOM - part * (index + 0.5 + BAND * (share - 0.5))


def _height(accuracy: float, low: float, high: float) -> float:
    return svg.place(accuracy, low, high, BOTTOM, TOP)


def _colour(accuracy: float, ordered: Sequence[Trial]) -> str:
    low, high = ordered[0].accuracy, ordered[-1].accuracy
    return f"k{min(CLASSES - 1, int(CLASSES * (accuracy - low) / (high - low))) if high > low else CLASSES - 1}"


def _labels(space: Space, columns: Sequence[float]) -> list[Markup]:
    """What the axes are, and the choices on them."""
    names = [f"{name.rstrip('0123456789')} {index % len(space.depths) + 1}" for index, name in enumerate(space.names)]
    parts = [
        svg.text(name, x, TOP - 16, "head", "middle") for name, x in zip([*names, "accuracy"], columns, strict=True)
    ]
    for x, choices in _axes(space, columns):
        parts += [
            svg.text(str(value), x - 10, _choice(index, len(choices)) + 4, "axis", "end")
            for index, value in enumerate(choices)
        ]
    return parts


def _mark(mark: float, x: float, low: float, high: float) -> Markup:
    y = _height(mark, low, high)
    return svg.group([svg.line(x, y, x + 6, y, "rule"), svg.text(f"{round(100 * mark, 2):g} %", x + 10, y + 4, "axis")])


def _style() -> str:
    light = " ".join(f".k{index} {{ stroke: {colour}; }}" for index, colour in enumerate(_LIGHT))
    dark = " ".join(f".k{index} {{ stroke: {colour}; }}" for index, colour in enumerate(_DARK))
    night = "svg { --paper: #14181e; --ink: #e7eaef; --soft: #98a3b1; --rule: #4a5563; }"
    return f"{_STYLE}{light}\n@media (prefers-color-scheme: dark) {{ {night} {dark} }}\n"
