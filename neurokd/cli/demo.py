"""neurokd demo: the whole way on data that comes with the package."""

import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer


def demo(
    events: Annotated[
        bool, typer.Option("--events", help="Event recordings and HSD instead of images and TSER.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder; default runs/NAME-NNN.")] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar (in a terminal).")] = True,
) -> None:
    """Train a teacher and a spiking student on digits, export, verify against Lava, simulate, report."""
    from neurokd.cli.export import export
    from neurokd.cli.report import report
    from neurokd.cli.simulate import simulate
    from neurokd.cli.train import train
    from neurokd.recipe import load_recipe
    from neurokd.runs import next_path

    start = time.perf_counter()
    name = "digits-dvs-hsd.yaml" if events else "digits-tser.yaml"
    with as_file(files("neurokd") / "recipes" / name) as recipe:
        run = out or next_path(load_recipe(recipe).name)
        _say(f"neurokd train {recipe.name} --out {run}")
        train(recipe, out=run, progress=progress)
    _say(f"neurokd export {run} --target loihi2")
    export(str(run), lava_samples=360)
    _say(f"neurokd simulate {run}")
    simulate(run)
    _say(f"neurokd report {run}")
    report(str(run))
    _say(f"the whole demo took {time.perf_counter() - start:.0f} s")


def _say(text: str) -> None:
    typer.secho(f"\n> {text}", bold=True)
