"""neurokd search: train a supernet, evaluate its subnets, say whether the architecture matters."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from neurokd.search.spec import Search
    from neurokd.search.summary import Summary


def search(
    file: Annotated[Path, typer.Argument(help="A search file, YAML; recipes/small/search-digits.yaml is one.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the search; default runs/NAME.")] = None,
    retrain: Annotated[
        int, typer.Option(min=0, max=10, help="Train this many of the best from scratch, and three to compare.")
    ] = 0,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar (in a terminal).")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Search depth and width of a residual network with one supernet; the same command continues."""
    from neurokd.cli.train import show_log
    from neurokd.runs import RUNS
    from neurokd.search.run import run_search
    from neurokd.search.spec import load_search

    wanted = load_search(file)
    folder = out or RUNS / wanted.name
    show_log()
    show_bar = progress and not as_json and sys.stdout.isatty()
    found = run_search(wanted, folder, data_root=data_root, progress=show_bar, retrain=retrain)
    _show(wanted, found, folder, as_json)


def _show(wanted: "Search", found: "Summary", folder: Path, as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps({"folder": str(folder), **found.to_json(wanted)}, indent=2))
        return
    from rich.table import Table

    from neurokd.cli.console import console
    from neurokd.search.markdown import HEAD, findings, rows

    table = Table(title=f"{wanted.name}: {found.sampled} of {wanted.space.count:,} subnets, validation data")
    for name in HEAD:
        table.add_column(name, justify="right" if name[-4:] not in ("nels", "pths") else "left")
    for row in rows(found):
        table.add_row(*row)
    out = console()
    out.print(table)
    for line in findings(wanted, found):
        out.print(line, markup=False, highlight=False)
    out.print(str(folder / "search.md"), markup=False)
