"""Build the managed Lava environment: once, whole, and only one process at a time."""

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock

from neurokd.errors import NeurokdError
from neurokd.files import write_json
from neurokd.hardware.lava.environment import (
    MARKER,
    REQUIREMENTS,
    LavaStatus,
    environment_dir,
    interpreter_of,
    managed_status,
    status,
)
from neurokd.hardware.lava.interpreter import Interpreter, find_python
from neurokd.hardware.lava.log_tail import last_lines

NEEDED_GB = 7.0 if sys.platform == "linux" else 2.5  # on Linux torch brings its CUDA libraries along

Builder = Callable[[Interpreter, Path, Path], None]
logger = logging.getLogger(__name__)


def install(*, build: Builder | None = None) -> LavaStatus:
    """Return the status of a working Lava, building the managed environment where there is none.

    Safe to call from several processes at once. `build(interpreter, folder, log)` makes the environment;
    None: `build_environment`. Raises NeurokdError if there is no Python 3.10, no network, no room or no permission.
    """
    found = status()
    if found.installed:
        return found
    folder = environment_dir()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            found = managed_status()  # another process may have built it while this one waited
            if not found.installed:
                _rebuild(folder, build or build_environment)
                found = managed_status()
    except OSError as error:
        raise NeurokdError(
            f"Lava environment {folder}: {error.strerror or error}; "
            "make room or set NEUROKD_CACHE to a folder that you may write to"
        ) from error
    if not found.installed:
        raise NeurokdError(f"Lava environment: {found.problem} although it was just built; see {log_of(folder)}")
    return found


def log_of(folder: Path) -> Path:
    """Log of the builds of `folder`."""
    return folder.with_name(f"{folder.name}.log")


def build_environment(interpreter: Interpreter, folder: Path, log: Path) -> None:
    """Make a virtual environment, install the pinned packages and import Lava once; output goes to `log`."""
    _check_room(folder)
    python = str(interpreter_of(folder))
    pip = [python, "-I", "-m", "pip", "install", "--no-input", "-r", str(REQUIREMENTS)]
    run_logged([str(interpreter.path), "-I", "-m", "venv", str(folder)], log)
    run_logged(pip, log)
    run_logged([python, "-I", "-c", "import lava.lib.dl.netx.hdf5"], log)


def run_logged(command: list[str], log: Path) -> None:
    """Run `command` with its output appended to `log`; NeurokdError with the last lines if it fails."""
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"$ {' '.join(command)}\n")
        stream.flush()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise NeurokdError(
            f"Lava environment: `{' '.join(command)}` ended with exit code {done.returncode}; "
            f"put right what its last lines name and run `neurokd lava install` again "
            f"(the whole log: {log}):\n{last_lines(log)}"
        )


def _rebuild(folder: Path, build: Builder) -> None:
    """Remove what a broken build left, build, and only then write the marker."""
    interpreter = find_python()
    if folder.exists():
        logger.info("removing the unfinished environment %s", folder)
        shutil.rmtree(folder)
    log = log_of(folder)
    log.unlink(missing_ok=True)
    build(interpreter, folder, log)
    pins = [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    write_json(folder / MARKER, {"python": str(interpreter.path), "found": interpreter.found, "packages": pins})


def _check_room(folder: Path) -> None:
    free_gb = shutil.disk_usage(folder.parent).free / 1e9
    if free_gb < NEEDED_GB:
        raise NeurokdError(
            f"Lava environment {folder}: {free_gb:.1f} GB are free, {NEEDED_GB:g} GB are needed; "
            "make room or set NEUROKD_CACHE to a folder on a larger disk"
        )


def _lock(folder: Path) -> AbstractContextManager[object]:
    """The lock of `folder`; says so when it has to wait for another process."""
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        return lock.acquire(blocking=False)
    except TimeoutError:  # filelock.Timeout
        logger.warning("another process is building the Lava environment; waiting for it")
        return lock.acquire()
