"""Horizontal bars, one per layer."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from neurokd.report import svg

WIDTH = 480.0
NAME, ROW = 124.0, 26.0
ROOM = 70.0  # for the value right of the longest bar


def bar_chart(
    rows: Sequence[tuple[str, float | None]], label: str, show: Callable[[float], str], missing: str = "not recorded"
) -> Markup:
    """One bar per `(name, value)`, from zero; a value of None is said in words."""
    top = max((value for _, value in rows if value is not None), default=0.0) or 1.0
    parts = []
    for index, (name, value) in enumerate(rows):
        y = index * ROW
        length = 0.0 if value is None else (WIDTH - NAME - ROOM) * value / top
        shown = missing if value is None else show(value)
        bar = svg.element("rect", x=NAME, y=y + 5, width=max(length, 1.0), height=ROW - 10, rx=2, class_="bar")
        words = [
            svg.text(svg.fit(name, NAME - 10), NAME - 10, y + ROW / 2 + 4, "label", "end"),
            svg.text(shown, NAME + length + 8, y + ROW / 2 + 4, "axis" if value is None else "value"),
        ]
        parts.append(svg.group(words if value is None else [bar, *words], tip=f"{name}: {shown}"))
    return svg.figure(parts, WIDTH, max(1, len(rows)) * ROW, label)


def share_bar(share: float) -> Markup:
    """A small bar for a table cell; `share` is 0..1."""
    parts = [
        svg.element("rect", x=0, y=0, width=60, height=8, rx=2, class_="track"),
        svg.element("rect", x=0, y=0, width=60 * min(1.0, share), height=8, rx=2, class_="bar"),
    ]
    return svg.element("svg", Markup("").join(parts), class_="share", viewBox="0 0 60 8", aria_hidden="true")
