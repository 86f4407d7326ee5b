"""neurokd figures: look into trained networks."""

import json
from pathlib import Path
from typing import Annotated

import typer

ALL = "tsne,rates,gradcam,features"


def figures(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Run folders or names; default the newest in runs/.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("figures"),
    only: Annotated[str, typer.Option("--only", help="Figures to draw, separated by commas.")] = ALL,
    images: Annotated[int, typer.Option(help="Test images in rates, gradcam and features.")] = 4,
    samples: Annotated[int | None, typer.Option(help="Test images in tsne; default 1000, or all if fewer.")] = None,
    channels: Annotated[int, typer.Option(help="Channels in rates and features.")] = 6,
    stage: Annotated[int, typer.Option(help="The stage whose feature maps are shown, from 1.")] = 1,
    seed: Annotated[int, typer.Option(help="Chooses the images and starts t-SNE.")] = 0,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Draw t-SNE, firing rates, Grad-CAM and feature maps of runs and their teachers."""
    from neurokd.figures.write import FigureOptions, write_figures
    from neurokd.runs import find_run

    chosen = tuple(key.strip() for key in only.split(","))
    options = FigureOptions(chosen, images, samples, channels, stage, seed)
    written = write_figures([find_run(name) for name in runs] if runs else [find_run()], out, options, data_root)
    if as_json:
        typer.echo(json.dumps(json.loads(written.numbers.read_text(encoding="utf-8"))))
        return
    for note in written.notes:
        typer.echo(note)
    typer.echo(written.page)
