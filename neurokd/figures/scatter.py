"""Points in the plane, coloured by class; one panel per network."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from neurokd.data.images import IntArray
from neurokd.figures.drawing import Drawing
from neurokd.figures.features import FloatArray
from neurokd.report import svg

SIDE, GAP, HEAD, INSET = 318.0, 23.0, 58.0, 10.0
PER_ROW = 3
LETTER, LINE = 7.0, 13.0  # of a class's name
MOST_NAMED = 20  # classes; more names would hide the points


@dataclass(frozen=True, eq=False)
class Panel:
    """A title, lines below it, and positions `[N, 2]`."""

    title: str
    lines: tuple[str, ...]
    positions: FloatArray


def scatter(panels: Sequence[Panel], labels: IntArray, classes: Sequence[str], label: str) -> Drawing:
    """The panels, three in a row, with a point per sample of class `labels` (`[N]`)."""
    pieces = []
    for index, panel in enumerate(panels):
        x, y = (index % PER_ROW) * (SIDE + GAP), (index // PER_ROW) * (SIDE + HEAD + GAP)
        pieces.append(_panel(panel, labels, classes, x, y))
    rows = -(-len(panels) // PER_ROW)
    columns = PER_ROW if len(panels) > 1 else 1
    return Drawing(tuple(pieces), columns * (SIDE + GAP) - GAP + 1, rows * (SIDE + HEAD + GAP) - GAP + 1, label)


def colour(index: int, count: int) -> str:
    """The colour of class `index` of `count`, readable on white and on black: hues apart, lightness by turns."""
    red, green, blue = colorsys.hls_to_rgb(index / max(1, count), (0.44, 0.58)[index % 2], 0.62)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def _panel(panel: Panel, labels: IntArray, classes: Sequence[str], x: float, y: float) -> Markup:
    spots = _fitted(panel.positions) + np.array([x, y + HEAD])
    words = [svg.text(svg.fit(panel.title, SIDE), x, y + 13, "head")]
    words += [svg.text(svg.fit(line, SIDE), x, y + 30 + 16 * k, "axis") for k, line in enumerate(panel.lines)]
    frame = svg.element("rect", x=x, y=y + HEAD, width=SIDE, height=SIDE, class_="frame")
    present = [int(k) for k in np.unique(labels)]
    dots = [_dots(spots[labels == k], classes[k], colour(k, len(classes))) for k in present]
    named = present if len(present) <= MOST_NAMED else []
    names = _names([(classes[k], *_middle(spots[labels == k])) for k in named], x)
    return svg.group([*words, frame, *dots, *names])


def _fitted(positions: FloatArray) -> FloatArray:
    """Positions in a square, one scale for both axes."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    scale = (SIDE - 2 * INSET) / max(float((high - low).max()), 1e-12)
    centred: FloatArray = (positions - (low + high) / 2) * scale + SIDE / 2
    return centred


def _dots(spots: FloatArray, name: str, fill: str) -> Markup:
    radius = 2.2
    return svg.group(
        [svg.element("circle", cx=round(float(x), 1), cy=round(float(y), 1), r=radius) for x, y in spots],
        tip=name, fill=fill, fill_opacity=0.8,
    )  # fmt: skip


def _middle(spots: FloatArray) -> tuple[float, float]:
    """Where most of a class lies: the sample that is nearest to the median."""
    distance = np.abs(spots - np.median(spots, axis=0)).sum(axis=1)
    x, y = spots[distance.argmin()]
    return float(x), float(y)


def _names(places: Sequence[tuple[str, float, float]], left: float) -> list[Markup]:
    """Names at their places, moved into the panel that begins at `left`, and down where two would overlap."""
    taken: list[tuple[float, float, float]] = []
    drawn = []
    for name, x, y in sorted(places, key=lambda place: place[2]):
        half = LETTER * len(name) / 2
        x = min(max(x, left + half + 3), left + SIDE - half - 3)
        while any(abs(x - x2) < half + half2 and abs(y - y2) < LINE for x2, y2, half2 in taken):
            y += 1.0
        taken.append((x, y, half))
        drawn.append(svg.text(name, x, y + 4, "named", "middle"))
    return drawn
