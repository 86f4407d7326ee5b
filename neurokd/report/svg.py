"""The few SVG pieces that the charts are drawn with; colours and fonts come from `report.css`."""

import math
from collections.abc import Iterable

from markupsafe import Markup, escape

_LETTER = 6.3  # mean width of a letter at the charts' 12 px


def element(name: str, content: str = "", **attributes: object) -> Markup:
    """One element. `class_` becomes `class`, `text_anchor` becomes `text-anchor`; everything is escaped.

    >>> str(element("text", "a < b", x=1.5, text_anchor="end"))
    '<text x="1.5" text-anchor="end">a &lt; b</text>'
    """
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{pairs}>{escape(content)}</{name}>")


def group(children: Iterable[Markup], tip: str | None = None, **attributes: object) -> Markup:
    """Elements that belong together, with an optional tooltip."""
    title = [element("title", tip)] if tip else []
    return element("g", Markup("").join([*title, *children]), **attributes)


def figure(children: Iterable[Markup], width: float, height: float, label: str) -> Markup:
    """A whole drawing; `label` is what a screen reader says."""
    content = Markup("").join([element("title", label), *children])
    return element("svg", content, class_="chart", viewBox=f"0 0 {_plain(width)} {_plain(height)}", role="img")


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(content: str, x: float, y: float, class_: str = "", anchor: str | None = None) -> Markup:
    """One line of text with its baseline at `y`."""
    return element("text", content, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def path(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """An open line through `points`."""
    return element("path", d="M" + " L".join(f"{_plain(x)} {_plain(y)}" for x, y in points), class_=class_)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round values that enclose `low` to `high`.

    >>> ticks(0.93, 0.98)
    [0.93, 0.94, 0.95, 0.96, 0.97, 0.98]
    >>> ticks(2.0, 2.0)
    [1.5, 2.0, 2.5]
    """
    if high - low < 1e-9:
        low, high, count = low - 0.5, high + 0.5, 2
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def place(value: float, low: float, high: float, start: float, end: float) -> float:
    """Map `value` in `low..high` to `start..end`."""
    return start + (value - low) / (high - low) * (end - start)


def fit(content: str, width: float) -> str:
    """`content`, shortened with an ellipsis where it would be wider than `width`.

    >>> fit("features.conv1.neuron", 80)
    'features.co…'
    """
    room = max(1, int(width / _LETTER))
    return content if len(content) <= room else content[: room - 1] + "…"


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
