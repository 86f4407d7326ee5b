"""`neurokd report`: one run as HTML, Markdown and JSON."""

import json
import webbrowser
from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run folder; the newest in runs/ by default.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write to; RUN/report by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report's numbers as JSON.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
) -> None:
    """Write report.html, report.md and report.json for a run."""
    from neurokd.report.write import write_report
    from neurokd.runs import find_run

    written = write_report(find_run(run).path, output)
    if as_json:
        typer.echo(json.dumps(json.loads(written.json.read_text(encoding="utf-8"))))
    else:
        typer.echo(f"{written.summary.verdict.headline}\n{written.html}")
    if show:
        webbrowser.open(written.html.resolve().as_uri())
