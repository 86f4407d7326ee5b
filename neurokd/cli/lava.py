"""`neurokd lava install` and `neurokd lava status`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from neurokd.hardware.lava.environment import LavaStatus

app = typer.Typer(name="lava", help="The Lava environment: install it, look at it.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.command()
def install(as_json: Json = False) -> None:
    """Install Lava in a Python 3.10 environment of its own, once for all checkouts (a minute or more)."""
    from neurokd.hardware.lava import environment
    from neurokd.hardware.lava import install as lava

    found = environment.status()
    if not found.installed:
        folder = environment.environment_dir()
        typer.echo(f"Installing Lava in {folder} (log: {lava.log_of(folder)}) ...", err=True)
        found = lava.install()
    _show(found, as_json)


@app.command()
def status(as_json: Json = False) -> int:
    """Show which Lava would be used; exit code 1 if there is none."""
    from neurokd.hardware.lava import environment

    found = environment.status()
    _show(found, as_json)
    return 0 if found.installed else 1


def _show(found: "LavaStatus", as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    elif found.installed:
        typer.echo(f"{found.summary()}\n{found.python}")
    else:
        typer.echo(f"{found.summary()}; run `neurokd lava install`")
