"""Write the figures of several runs: SVG files, one page, and the numbers."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neurokd import __version__
from neurokd.errors import NeurokdError
from neurokd.figures.cast import Cast, load_cast
from neurokd.figures.choice import choose_images, choose_samples
from neurokd.figures.figure import Figure, Shown
from neurokd.figures.figure_features import features_figure
from neurokd.figures.figure_gradcam import gradcam_figure
from neurokd.figures.figure_rates import rates_figure
from neurokd.figures.figure_tsne import tsne_figure
from neurokd.figures.page import to_html
from neurokd.files import atomic_file
from neurokd.runs import Run

FIGURES = ("tsne", "rates", "gradcam", "features")


@dataclass(frozen=True)
class FigureOptions:
    """`samples` test images for t-SNE (None: 1000 or all), `images` for the others; `stage` counts from 1."""

    only: tuple[str, ...] = FIGURES
    images: int = 4
    samples: int | None = None
    channels: int = 6
    stage: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Written:
    """The files that were written, what they say, and what was left out."""

    page: Path
    numbers: Path
    drawings: tuple[Path, ...]
    notes: tuple[str, ...]


def write_figures(
    runs: Sequence[Run], out: Path, options: FigureOptions | None = None, data_root: Path | None = None
) -> Written:
    """Draw the figures of `runs` and their teachers into `out`: `index.html`, an SVG file each, `figures.json`.

    All are drawn before the first is written. Raises NeurokdError for runs that do not belong together
    (`load_cast`) or an option that is not allowed.
    """
    options = options or FigureOptions()
    _check(runs, options)
    cast = load_cast(runs, data_root)
    figures = _draw(cast, options)
    drawings = {out / f"{figure.key}.svg": figure.drawing.file() for figure in figures if figure.drawing}
    page, numbers = out / "index.html", out / "figures.json"
    document = json.dumps(to_json(cast, figures, options), indent=2, allow_nan=False) + "\n"
    for path, text in {**drawings, page: to_html(cast, figures, options.seed), numbers: document}.items():
        with atomic_file(path) as part:
            part.write_text(text, encoding="utf-8")
    notes = [*cast.notes, *(f"{figure.key}: {note}" for figure in figures for note in figure.notes)]
    return Written(page, numbers, tuple(drawings), tuple(notes))


def to_json(cast: Cast, figures: Sequence[Figure], options: FigureOptions) -> dict[str, Any]:
    """Every number that the figures show, as plain values."""
    return {
        "format": 1,
        "neurokd": __version__,
        "data": {"name": cast.dataset.name, "test": len(cast.dataset.test), "classes": list(cast.dataset.classes)},
        "options": asdict(options),
        "networks": [
            {"name": one.name, "teacher_of": one.pupil, "model": one.run.recipe.model.name,
             "method": one.run.recipe.method.name, "timesteps": one.run.recipe.timesteps, "accuracy": one.accuracy}
            for one in cast.networks
        ],
        "notes": list(cast.notes),
        "figures": {
            figure.key: {**figure.numbers, "caption": figure.caption, "notes": list(figure.notes)}
            for figure in figures
        },
    }  # fmt: skip


def _check(runs: Sequence[Run], options: FigureOptions) -> None:
    if not runs:
        raise NeurokdError("figures: no run was given; name one or more")
    for key in options.only:
        if key not in FIGURES:
            raise NeurokdError(f"--only: '{key}' is no figure; allowed are {','.join(FIGURES)}")
    for name, value in (("stage", options.stage), ("channels", options.channels)):
        if value < 1:
            raise NeurokdError(f"--{name}: {value}, allowed is 1 or more")


def _draw(cast: Cast, options: FigureOptions) -> list[Figure]:
    """The figures that were asked for, in the order of the page."""
    figures = []
    shown = Shown(cast.dataset, choose_images(cast.dataset, options.images, options.seed))
    if "tsne" in options.only:
        chosen = choose_samples(cast.dataset, options.samples, options.seed)
        figures.append(tsne_figure(cast, chosen, options.seed))
    if "rates" in options.only:
        figures.append(rates_figure(cast, shown, options.channels))
    if "gradcam" in options.only:
        figures.append(gradcam_figure(cast, shown))
    if "features" in options.only:
        figures.append(features_figure(cast, shown, options.stage, options.channels))
    return figures
