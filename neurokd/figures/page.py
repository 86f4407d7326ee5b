"""All figures on one page: no script, no request, every string escaped."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from neurokd import __version__
from neurokd.figures.cast import Cast
from neurokd.figures.drawing import style
from neurokd.figures.figure import Figure
from neurokd.report import svg

_HERE = Path(__file__).parent


def to_html(cast: Cast, figures: Sequence[Figure], seed: int) -> str:
    """The whole page, in the style of the report."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    report = (Path(svg.__file__).parent / "report.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        cast=cast, figures=figures, seed=seed, version=__version__, css=Markup(report + style())
    )
