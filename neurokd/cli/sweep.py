"""neurokd sweep: train a grid of recipes, and say what came of it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurokd.errors import CheckFailed, NeurokdError

if TYPE_CHECKING:
    from neurokd.sweep.grid import Point
    from neurokd.sweep.summary import Summary


def sweep(
    file: Annotated[Path, typer.Argument(help="A sweep file, or a recipe to sweep; both YAML.")],
    grid: Annotated[
        list[str] | None, typer.Option("--grid", metavar="KEY=A,B,...", help="Values of a key, e.g. seed=0,1,2.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the base recipe.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Train these variants alone, e.g. ce,tser.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the sweep; default runs/NAME.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and where they stand.")] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Summarise what is there; train nothing.")] = False,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar (in a terminal).")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Train every point of a grid and compare them over seeds; the same command continues or joins in."""
    from neurokd.cli.train import show_log
    from neurokd.sweep.grid import points
    from neurokd.sweep.spec import load_sweep
    from neurokd.sweep.state import state_of
    from neurokd.sweep.summary import Summary, summarise
    from neurokd.sweep.write import write_summary

    wanted = load_sweep(file, grid, overrides)
    found = points(wanted, out)
    folder = found[0].run.path.parent
    states = {point.run.path.name: state_of(point) for point in found}
    chosen = _chosen(found, only)
    if dry_run:
        _show_states(states, folder, as_json)
        return

    def write() -> Summary:
        measured = summarise(wanted, found)
        write_summary(measured, folder)
        return measured

    measured = write()  # before anything trains: a damaged result is named now
    if not summary:
        from neurokd.sweep.run import run_points

        show_log()
        show_bar = progress and not as_json and sys.stdout.isatty()
        run_points(chosen, data_root=data_root, progress=show_bar, after_each=write)
        measured = write()
    _show(measured, folder, as_json)
    if measured.failures and not summary:
        raise CheckFailed(f"sweep '{folder}': {len(measured.failures)} of {len(found)} runs failed; sweep.md says why")


def _chosen(found: list["Point"], only: str | None) -> list["Point"]:
    if only is None:
        return found
    known = dict.fromkeys(point.variant for point in found)
    asked = [name.strip() for name in only.split(",")]
    for name in asked:
        if name not in known:
            raise NeurokdError(f"--only {only}: no variant '{name}'; there are {', '.join(known)}")
    return [point for point in found if point.variant in asked]


def _show_states(states: Mapping[str, str], folder: Path, as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps({"folder": str(folder), "runs": states}, indent=2))
        return
    width = max(len(name) for name in states)
    for name, state in states.items():
        typer.echo(f"{name:<{width}}  {state}")
    done = sum(state == "finished" for state in states.values())
    typer.echo(f"{done} of {len(states)} runs in {folder} are finished")


def _show(summary: "Summary", folder: Path, as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps({"folder": str(folder), **summary.to_json()}, indent=2))
        return
    from rich.table import Table

    from neurokd.cli.console import console
    from neurokd.sweep.markdown import HEAD, cells

    table = Table(title=summary.title)
    for name in HEAD:
        table.add_column(name, justify="left" if name == "variant" else "right")
    for row in summary.rows:
        table.add_row(*cells(row, summary))
    out = console()
    out.print(table)
    done = len(summary.states) - len(summary.missing)
    out.print(f"{done} of {len(summary.states)} runs are finished; {folder / 'sweep.md'}", markup=False)
    for name in summary.missing:
        reason = f": {summary.failures[name]}" if name in summary.failures else ""
        out.print(f"missing: {name} {summary.states[name]}{reason}", markup=False)
