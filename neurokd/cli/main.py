"""The entry point: collects the commands, turns errors into one line and an exit code."""

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from neurokd import __version__
from neurokd.cli.check import check
from neurokd.cli.convert import convert
from neurokd.cli.datasets import app as datasets_app
from neurokd.cli.demo import demo
from neurokd.cli.doctor import doctor
from neurokd.cli.export import export
from neurokd.cli.figures import figures
from neurokd.cli.lava import app as lava_app
from neurokd.cli.methods import app as methods_app
from neurokd.cli.models import app as models_app
from neurokd.cli.report import report
from neurokd.cli.search import search
from neurokd.cli.simulate import simulate
from neurokd.cli.sweep import sweep
from neurokd.cli.train import train
from neurokd.errors import NeurokdError

INTERRUPTED = 130  # what some versions of typer return after Ctrl-C; others raise Abort

app = typer.Typer(
    name="neurokd",
    help="From an ANN to a verified low-latency spiking network on Loihi-style hardware.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"neurokd {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Options of every command."""
    if debug:
        os.environ["NEUROKD_DEBUG"] = "1"


for command in (demo, train, sweep, search, check, convert, export, simulate, report, figures, doctor):
    app.command()(command)
for name, group in {"lava": lava_app, "datasets": datasets_app, "methods": methods_app, "models": models_app}.items():
    app.add_typer(group, name=name)


def main() -> None:
    """Run the command line. Exit codes: 0 fine, 1 a check failed, 2 wrong usage or input."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; every foreseeable error is one line on stderr."""
    try:
        result = app(arguments, standalone_mode=False)
    except NeurokdError as error:
        return _fail(str(error), error.exit_code, error)
    except (KeyboardInterrupt, typer.Abort) as error:
        return _fail("interrupted", 2, error)
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}", 2, error)
    except Exception as error:
        usage = _usage_error(error)
        if usage is None:
            raise
        return _fail(usage, 2, error)
    if result == INTERRUPTED:
        return _fail("interrupted", 2, KeyboardInterrupt())
    return result if isinstance(result, int) else 0


def _usage_error(error: Exception) -> str | None:
    """The message of an error that the argument parser (click, by whichever name typer ships it) raised."""
    message: Callable[[], str] | None = getattr(error, "format_message", None)
    if message is None:
        return None
    context = getattr(error, "ctx", None)
    return f"{message()}; {context.command_path} --help shows the usage" if context else message()


def _fail(message: str, code: int, error: BaseException) -> int:
    if os.environ.get("NEUROKD_DEBUG"):
        import traceback

        traceback.print_exception(error)
    sys.stderr.write(f"neurokd: {message}\n")
    return code
