"""neurokd methods: what can distil."""

import json
from typing import Annotated, Any

import typer

app = typer.Typer(help="Distillation methods.", no_args_is_help=True)


@app.command("list")
def list_methods(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Every method with its coefficients, as a recipe names them, and its source."""
    from neurokd.distill import METHODS

    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "coefficients": {k: f.default for k, f in method.model_fields.items() if k != "name"},
            "needs_teacher": method.needs_teacher,
            "source": method.source,
        }
        for name, method in METHODS.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.table import Table

    from neurokd.cli.console import console

    table = Table("method", "teacher", "coefficients (defaults)", "source")
    for row in rows:
        coefficients = ", ".join(f"{k}={v}" for k, v in row["coefficients"].items())
        table.add_row(row["name"], "yes" if row["needs_teacher"] else "no", coefficients, row["source"])
    console().print(table)
