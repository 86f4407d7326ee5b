"""neurokd check: can this network be deployed? Asked before it is trained."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurokd.errors import NeurokdError

if TYPE_CHECKING:
    from neurokd.export.contract.check import Verdict
    from neurokd.export.contract.target import Target


def check(
    what: Annotated[
        Path | None,
        typer.Argument(metavar="[RECIPE|RUN|MODEL.nir]", help="What to check; default the newest run in runs/."),
    ] = None,
    target: Annotated[str, typer.Option(help="loihi2, loihi2-microcode or lava-cpu.")] = "loihi2",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe.")
    ] = None,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> int:
    """List everything that keeps a network from a target, layer by layer; exit 1 if there is anything."""
    from neurokd.export.contract.target import find_target

    verdict = _verdict(what, find_target(target), overrides, data_root)
    if as_json:
        typer.echo(json.dumps(verdict.to_json(), indent=2))
    else:
        show_verdict(verdict)
    return 0 if verdict.deployable else 1


def _verdict(what: Path | None, target: "Target", overrides: list[str] | None, data_root: Path | None) -> "Verdict":
    from neurokd.export.contract.check import check_nir, check_recipe, check_run
    from neurokd.recipe import load_recipe
    from neurokd.runs import find_run

    suffix = what.suffix.lower() if what is not None else ""
    if what is not None and suffix in (".yaml", ".yml"):
        return check_recipe(load_recipe(what, overrides), target, data_root)
    if overrides:
        raise NeurokdError("--set: changes a recipe; name the recipe too")
    if what is not None and suffix == ".nir":
        return check_nir(what, target)
    return check_run(find_run(None if what is None else str(what)), target, data_root)


def show_verdict(verdict: "Verdict") -> None:
    """Print the findings, what each layer takes, and the verdict in one line."""
    from neurokd.cli.console import console

    out = console()
    if verdict.findings:
        out.print(_findings(verdict))
    if verdict.layers:
        out.print(_layers(verdict))
    count, name = len(verdict.violations), verdict.target.name
    if count:
        out.print(f"{verdict.subject} cannot run on {name}: {count} violation{'s' * (count > 1)}", markup=False)
        return
    known = "layers and weights" if verdict.weights_checked else "layers; weights are checked when they are trained"
    steps = "" if verdict.timesteps is None else f", an answer after {verdict.timesteps + len(verdict.layers)} steps"
    out.print(f"{verdict.subject} can run on {name} ({known}){steps}", markup=False, highlight=False)


def _findings(verdict: "Verdict") -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("layer", "", "found", "allowed", "instead", title=f"{verdict.subject} on {verdict.target.name}")
    for finding in verdict.findings:
        row = (finding.layer or "model", finding.severity, finding.found, finding.allowed, finding.advice)
        table.add_row(*(escape(cell) for cell in row))
    return table


def _layers(verdict: "Verdict") -> Any:
    from rich.table import Table

    table = Table("layer", title=f"populations on {verdict.target.name}, pooling and normalisation folded")
    columns = ["shape", "neurons", "fan-in", "weights"]
    columns += ["cores, at least"] if verdict.target.core else []
    columns += ["largest weight", "threshold", "bias", "scale limited by"] if verdict.weights_checked else []
    for column in columns:
        table.add_column(column, justify="right")
    for layer in verdict.layers:
        row = ["x".join(map(str, layer.shape)), f"{layer.neurons:,}", f"{layer.fan_in:,}", f"{layer.weights:,}"]
        row += [] if layer.cores_at_least is None else [str(layer.cores_at_least)]
        if layer.integers:
            threshold = "read-out" if layer.integers.threshold is None else str(layer.integers.threshold)
            row += [str(layer.integers.weight), threshold, str(layer.integers.bias), layer.integers.limited_by]
        table.add_row(layer.name, *row)
    return table
