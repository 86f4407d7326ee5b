"""A whole drawing: for a page, whose style it takes, or as a file that brings its own."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from neurokd.report import svg

NAMESPACE = "http://www.w3.org/2000/svg"
MARGIN = 12.0


@dataclass(frozen=True)
class Drawing:
    """Pieces of SVG on `width` x `height`; `label` is what a screen reader says."""

    pieces: tuple[Markup, ...]
    width: float
    height: float
    label: str

    def inline(self) -> Markup:
        """For a page that has `drawing.css`."""
        return svg.figure(self.pieces, self.width, self.height, self.label)

    def file(self) -> str:
        """A complete SVG file, light or dark as its viewer wishes."""
        left, width, height = -MARGIN, self.width + 2 * MARGIN, self.height + 2 * MARGIN
        ground = svg.element("rect", x=left, y=left, width=width, height=height, class_="ground", fill="#ffffff")
        content = Markup("").join(
            [svg.element("title", self.label), svg.element("style", Markup(style())), ground, *self.pieces]
        )
        box = f"{left:g} {left:g} {width:g} {height:g}"
        attributes = {"width": width, "height": height, "viewBox": box, "role": "img", "class_": "chart"}
        return str(svg.element("svg", content, xmlns=NAMESPACE, **attributes)) + "\n"


def style() -> str:
    """The rules that every drawing follows."""
    return (Path(__file__).parent / "drawing.css").read_text(encoding="utf-8")
