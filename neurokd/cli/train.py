"""neurokd train: train a recipe, continue an interrupted run, or take a finished one on: to integers, or anew."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurokd.errors import NeurokdError

if TYPE_CHECKING:
    from neurokd.recipe import Recipe
    from neurokd.runs import Run


def train(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RECIPE|RUN]",
            help="The recipe, a YAML file; recipes/ holds ready ones. Or the folder of a finished run, which goes on "
            "in integers, --set qat.bits=4, or as a new run that starts from its weights, --set timesteps=1.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key, e.g. training.epochs=5.")
    ] = None,
    hard_reset: Annotated[
        bool, typer.Option("--hard-reset", help="A new run from the weights of RUN, with the chip's hard reset.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the newest unfinished run.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder; default runs/NAME-NNN.")] = None,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar (in a terminal).")] = True,
    check: Annotated[bool, typer.Option(help="Warn beforehand if the network cannot be exported.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a recipe: its teacher first (or reused), then the student; the test set is used once, at the end.

    With a `qat` section the student then goes on in the integers of its export.
    """
    from neurokd.recipe import load_recipe
    from neurokd.runs import find_unfinished, next_path
    from neurokd.training import fit

    if overrides and recipe is None:
        raise NeurokdError("--set: changes a recipe; name the recipe too")
    shows = progress and not as_json and sys.stdout.isatty()
    show_log()
    named: Recipe | None
    if recipe and recipe.is_dir():
        run, named = finished_run(recipe, overrides, hard_reset)
        if named.weights_from != recipe:
            if resume or out:
                raise NeurokdError(f"run '{recipe}': goes on in its own folder; leave --resume and --out away")
            show_integers(*train_integers(run, named, data_root, shows), as_json)
            return
    elif hard_reset:
        raise NeurokdError("--hard-reset: is for the folder of a finished run; in a recipe set neuron: {reset: hard}")
    else:
        named = load_recipe(recipe, overrides) if recipe else None
    if resume:
        unfinished = find_unfinished(named)
        wanted, run = unfinished.wanted, fit(unfinished.recipe, unfinished.path, data_root=data_root, progress=shows)
    elif named is None:
        raise NeurokdError("train: name a recipe, e.g. recipes/digits-tser.yaml, or continue a run with --resume")
    else:
        if check and named.neuron is not None:
            warn_undeployable(named)
        wanted, run = named, fit(named, out or next_path(named.name), data_root=data_root, progress=shows)
    if wanted.qat is None or not as_json:
        show_result(run.path, run.result(), as_json)
    if wanted.qat is not None:
        show_integers(*train_integers(run, wanted, data_root, shows), as_json)


def finished_run(path: Path, overrides: list[str] | None, hard_reset: bool = False) -> "tuple[Run, Recipe]":
    """The finished run at `path`, and the recipe with which it goes on.

    That is its own with the `qat` section of the overrides, or the one that was begun. Where other keys are changed, or
    soft resets become hard ones, it is the recipe of a new run that takes its `weights_from` this one. Raises
    NeurokdError if there is nothing to do.
    """
    from neurokd.recipe import load_recipe
    from neurokd.runs import Run

    run = Run(path)
    wanted = load_recipe(path / "recipe.yaml", overrides) if overrides else run.wanted
    run.result()
    if hard_reset:
        if wanted.neuron is None or wanted.neuron.hard() == wanted.neuron:
            raise NeurokdError(f"run '{path}': its neurons are the chip's already; leave --hard-reset away")
        wanted = wanted.model_copy(update={"neuron": wanted.neuron.hard()})
    if wanted.model_copy(update={"qat": None}) != run.recipe.model_copy(update={"qat": None}):
        return run, wanted.model_copy(update={"weights_from": path, "published": None})
    if wanted.qat is None:
        raise NeurokdError(
            f"run '{run.path}': is finished; take it on to integers with e.g. --set qat.bits=8, or change another key"
        )
    return run, wanted


def train_integers(
    run: "Run", wanted: "Recipe", data_root: Path | None, progress: bool
) -> "tuple[Path, dict[str, Any]]":
    """Quantisation-aware training of a finished run; its folder and what it measured."""
    from neurokd.export.qat.train import train_in_integers

    trained = train_in_integers(run, wanted, data_root=data_root, progress=progress)
    return trained.path, trained.result()


def show_integers(path: Path, result: dict[str, Any], as_json: bool) -> None:
    """Print what quantisation-aware training measured."""
    if as_json:
        import json

        typer.echo(json.dumps({"run": str(path), **result}, indent=2))
        return
    from rich.table import Table

    from neurokd.cli.console import console

    table = Table(title=f"{path}: {result['bits']}-bit weights, on the integer simulator")
    for column in ("network", "validation accuracy", "test accuracy"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, row in (("float student", "float"), ("quantised, before", "before"), ("trained in integers", "after")):
        scores = result[row]
        table.add_row(name, f"{scores['validation_accuracy']:.2%}", f"{scores['accuracy']:.2%}")
    console().print(table)
    typer.echo(f"export these integers with: neurokd export {path.parent}")


def warn_undeployable(recipe: "Recipe") -> None:
    """Say on stderr, a line each, what will keep the trained network from Loihi 2; nothing here stops the training."""
    from neurokd.export.contract.check import check_recipe, known_shape
    from neurokd.export.contract.target import TARGETS

    if known_shape(recipe.data) is None:
        typer.echo("whether this network can be exported: ask neurokd check, which loads the data for it", err=True)
        return
    try:
        found = check_recipe(recipe, TARGETS["loihi2"]).violations
    except NeurokdError:
        return  # the model cannot be built; the training is about to say so
    except Exception as error:  # a warning must never keep anybody from training
        typer.echo(f"whether this network can be exported is not known: the check failed ({error})", err=True)
        return
    for violation in found:
        typer.echo(f"this network trains, but cannot be exported: {violation.text}", err=True)
    if found:
        typer.echo("neurokd check shows all; --no-check keeps this quiet", err=True)


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
    table = Table(title=f"{path}: {result['method']} on {data['name']}, {data['test']} test samples")
    table.add_column("network")
    table.add_column("parameters", justify="right")
    table.add_column("test accuracy", justify="right")
    if teacher:
        name = f"teacher {teacher['model']}" + (" (reused)" if teacher["reused"] else "")
        table.add_row(name, f"{teacher['parameters']:,}", f"{teacher['accuracy']:.2%}")
    if before := student.get("weights_from"):
        steps = before["accuracy_per_step"]
        table.add_row(f"its weights in {before['run']}, t = {len(steps)}", "", f"{steps[-1]:.2%}")
    if at_start := student.get("accuracy_per_step_at_start"):
        steps = f"before its training, t = {len(at_start)}"
        table.add_row(f"student {student['model']}, {steps}", f"{student['parameters']:,}", f"{at_start[-1]:.2%}")
    for step, accuracy in enumerate(student["accuracy_per_step"], start=1):
        table.add_row(f"student {student['model']}, t = {step}", f"{student['parameters']:,}", f"{accuracy:.2%}")
    console().print(table)
    if result.get("published"):
        console().print(published_line(result["published"]), markup=False)


def published_line(published: dict[str, Any]) -> str:
    """What the paper reports, in a line or two to stand below our own figures.

    >>> published_line({"accuracy": 95.58, "teacher_accuracy": 97.1, "source": "TSER table", "protocol": None})
    'published: 95.58 % (TSER table), teacher 97.10 %'
    """
    teacher = f", teacher {published['teacher_accuracy']:.2f} %" if published["teacher_accuracy"] else ""
    protocol = f"\nprotocols: {published['protocol']}" if published["protocol"] else ""
    return f"published: {published['accuracy']:.2f} % ({published['source']}){teacher}{protocol}"
