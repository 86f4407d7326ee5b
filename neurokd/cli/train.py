"""neurokd train: train a recipe, or continue an interrupted run."""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from neurokd.errors import NeurokdError


def train(
    recipe: Annotated[Path | None, typer.Argument(help="The recipe, a YAML file; recipes/ holds ready ones.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key, e.g. training.epochs=5.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the newest unfinished run.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder; default runs/NAME-NNN.")] = None,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar (in a terminal).")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a recipe: its teacher first (or reused), then the student; the test set is used once, at the end."""
    from neurokd.recipe import load_recipe
    from neurokd.runs import find_unfinished, next_path
    from neurokd.training import fit

    if overrides and recipe is None:
        raise NeurokdError("--set: changes a recipe; name the recipe too")
    wanted = load_recipe(recipe, overrides) if recipe else None
    if resume:
        unfinished = find_unfinished(wanted)
        wanted, path = unfinished.recipe, unfinished.path
    elif wanted is None:
        raise NeurokdError("train: name a recipe, e.g. recipes/digits-tser.yaml, or continue a run with --resume")
    else:
        path = out or next_path(wanted.name)
    show_log()
    run = fit(wanted, path, data_root=data_root, progress=progress and not as_json and sys.stdout.isatty())
    show_result(run.path, run.result(), as_json)


def show_log() -> None:
    """Let the modules' notes (teacher reused, epochs) through to stderr."""
    notes = logging.getLogger("neurokd")
    if not notes.handlers:
        notes.addHandler(logging.StreamHandler())
    notes.setLevel(logging.INFO)
    notes.propagate = False  # a library may have given the root a handler of its own


def show_result(path: Path, result: dict[str, Any], as_json: bool) -> None:
    """Print what training measured."""
    if as_json:
        import json

        typer.echo(json.dumps({"run": str(path), **result}, indent=2))
        return
    from rich.table import Table

    from neurokd.cli.console import console

    student, teacher, data = result["student"], result["teacher"], result["data"]
    table = Table(title=f"{path}: {result['method']} on {data['name']}, {data['test']} test images")
    table.add_column("network")
    table.add_column("parameters", justify="right")
    table.add_column("test accuracy", justify="right")
    if teacher:
        name = f"teacher {teacher['model']}" + (" (reused)" if teacher["reused"] else "")
        table.add_row(name, f"{teacher['parameters']:,}", f"{teacher['accuracy']:.2%}")
    for step, accuracy in enumerate(student["accuracy_per_step"], start=1):
        table.add_row(f"student {student['model']}, t = {step}", f"{student['parameters']:,}", f"{accuracy:.2%}")
    console().print(table)
