"""Pictures in rows and columns, in blocks with a title each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from neurokd.figures.drawing import Drawing
from neurokd.report import svg

LABEL, GAP, LINE = 160.0, 8.0, 15.0
WIDTH = 1000.0  # what a page has room for
SMALLEST, LARGEST = 64.0, 150.0
SCALE_WIDTH = 150.0


@dataclass(frozen=True)
class Tile:
    """A picture (address), what it shows, and lines of text below it; a `wrong` one says so by its colour."""

    picture: str
    tip: str
    lines: tuple[str, ...] = ()
    wrong: bool = False


@dataclass(frozen=True)
class Block:
    """A title, the lines above each column, and rows of a label and one tile (or nothing) per column."""

    title: str
    columns: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Tile | None, ...]], ...]


@dataclass(frozen=True)
class Scale:
    """The legend of a colour ramp (a picture's address) from `low` to `high`."""

    picture: str
    low: str
    high: str
    name: str


def grid(blocks: Sequence[Block], scale: Scale, label: str, aspect: float = 1.0, largest: float = LARGEST) -> Drawing:
    """Blocks below each other; `aspect` is height by width of the pictures, which are `largest` wide or less."""
    columns = max(len(block.columns) for block in blocks)
    size = min(largest, max(SMALLEST, (WIDTH - LABEL) / columns - GAP))
    pieces, y = [_scale(scale)], 40.0
    for block in blocks:
        drawn, y = _block(block, y, size, size * aspect)
        pieces += drawn
    return Drawing(tuple(pieces), max(WIDTH, LABEL + columns * (size + GAP)), y, label)


def _block(block: Block, y: float, width: float, height: float) -> tuple[list[Markup], float]:
    """The pieces of a block that starts at `y`, and where it ends."""
    pieces = [svg.text(block.title, 0, y + LINE, "head")] if block.title else []
    y += 1.6 * LINE if block.title else 0.0
    head = max(len(lines) for lines in block.columns) * LINE
    for index, lines in enumerate(block.columns):
        pieces += _lines(lines, _left(index, width), y + head - (len(lines) - 1) * LINE - 5, width, "axis")
    y += head
    for label, tiles in block.rows:
        pieces += _lines(label, 0, y + height / 2 - (len(label) - 2) * LINE / 2 - 3, LABEL - GAP, "axis")
        for index, tile in enumerate(tiles):
            if tile:
                pieces.append(_tile(tile, _left(index, width), y, width, height))
        y += height + GAP + max(len(tile.lines) if tile else 0 for tile in tiles) * LINE
    return pieces, y + LINE


def _left(index: int, width: float) -> float:
    return LABEL + index * (width + GAP)


def _lines(lines: Sequence[str], x: float, y: float, room: float, style: str) -> list[Markup]:
    return [svg.text(svg.fit(line, room), x, y + k * LINE, style) for k, line in enumerate(lines)]


def _tile(tile: Tile, x: float, y: float, width: float, height: float) -> Markup:
    box: dict[str, Any] = {"x": x, "y": y, "width": width, "height": height}
    image = svg.element("image", href=tile.picture, preserveAspectRatio="none", **box)
    frame = svg.element("rect", class_="frame", **box)
    words = _lines(tile.lines, x, y + height + LINE - 2, width, "wrong" if tile.wrong else "axis")
    return svg.group([image, frame, *words], tip=tile.tip)


def _scale(scale: Scale) -> Markup:
    box: dict[str, Any] = {"x": LABEL, "y": 4, "width": SCALE_WIDTH, "height": 10}
    end = LABEL + SCALE_WIDTH
    return svg.group([
        svg.element("image", href=scale.picture, preserveAspectRatio="none", **box),
        svg.element("rect", class_="frame", **box),
        svg.text(scale.low, LABEL, 28, "axis"),
        svg.text(scale.high, end, 28, "axis", "end"),
        svg.text(scale.name, end + 10, 13, "axis"),
    ])  # fmt: skip
