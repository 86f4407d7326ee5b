"""Find a Python 3.10, the only one that Lava runs on; every candidate is run before it is believed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurokd.cache import cache_dir
from neurokd.errors import NeurokdError

REQUIRED = "3.10"
VARIABLE = "NEUROKD_LAVA_PYTHON"
_PROBE = "import sys, venv, ensurepip, json; print(json.dumps('%d.%d.%d' % sys.version_info[:3]))"


@dataclass(frozen=True)
class Interpreter:
    """A Python that was run and answered; `found` says where it came from."""

    path: Path
    version: str
    found: str


def ask(python: Path | str, code: str, timeout_s: float = 60.0) -> Any:
    """Run `code` in `python`, apart from this environment, and return the JSON of its last line of output.

    Raises OSError if it cannot be run, ValueError if it fails or answers something else.

    >>> ask(sys.executable, "print(1 + 1)")
    2
    """
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"no answer after {timeout_s:g} s") from None
    if done.returncode != 0:
        raise ValueError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return json.loads((done.stdout.strip().splitlines() or [""])[-1])


def find_python() -> Interpreter:
    """Return the first working Python 3.10: $NEUROKD_LAVA_PYTHON, this one, PATH, pyenv, uv, a uv of our own.

    Raises NeurokdError, naming what was tried, if there is none.
    """
    tried: list[str] = []
    for path, found in _candidates(tried):
        try:
            version = str(ask(path, _PROBE))
        except (OSError, ValueError) as error:
            problem = str(error)
        else:
            if version.startswith(f"{REQUIRED}."):
                return Interpreter(Path(path), version, found)
            problem = f"is Python {version}"
        if found == f"${VARIABLE}":
            raise NeurokdError(f"${VARIABLE}='{path}': {problem}; point it to a Python {REQUIRED}, or unset it")
        tried.append(f"{path} ({found}): {problem}")
    lines = "".join(f"\n  {line}" for line in tried)
    raise NeurokdError(
        f"Lava needs Python {REQUIRED} with venv and pip, and none was found; install one "
        f"(`uv python install {REQUIRED}`, `pyenv install {REQUIRED}` or the system's packages) "
        f"or set {VARIABLE} to its path, then run `neurokd lava install` again. Tried:{lines}"
    )


def _candidates(tried: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (path, where from) in order of preference; costly sources come last."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        yield chosen, f"${VARIABLE}"
    if sys.version_info[:2] == (3, 10):
        yield sys.executable, "this interpreter"
    for name in (f"python{REQUIRED}", "python3", "python"):
        path = shutil.which(name)
        if path:
            yield path, "PATH"
    for path in _pyenv():
        yield path, "pyenv"
    uv = shutil.which("uv")
    if uv:
        yield from _uv(uv, "uv", tried)
    else:
        own = _own_uv(tried)
        if own:
            yield from _uv(own, "uv, installed in the cache", tried)


def _pyenv() -> list[str]:
    """The 3.10 interpreters of pyenv themselves, newest first: its shims refuse versions that are not selected."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = sorted((root / "versions").glob(f"{REQUIRED}*"), key=_numbers, reverse=True)
    return [str(folder / "bin" / "python") for folder in folders if (folder / "bin" / "python").exists()]


def _numbers(folder: Path) -> list[int]:
    """The numbers in a version, so that 3.10.13 is newer than 3.10.4.

    >>> _numbers(Path("versions/3.10.13"))
    [3, 10, 13]
    """
    return [int(part) for part in folder.name.split(".") if part.isdigit()]


def _uv(uv: str, found: str, tried: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the Python that uv knows, else let uv fetch one."""
    environment = {**os.environ, "UV_PYTHON_INSTALL_DIR": str(cache_dir() / "python")}
    for command in (["find"], ["install", "find"]):
        answer = ""
        for verb in command:
            done = subprocess.run(
                [uv, "python", verb, REQUIRED],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=environment,
            )
            answer = done.stdout.strip()
            if done.returncode != 0:
                tried.append(f"`{uv} python {verb} {REQUIRED}`: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
                answer = ""
                break
        if answer:
            yield answer.splitlines()[-1], found


def _own_uv(tried: list[str]) -> str | None:
    """Put uv into a small environment in the cache; None, with the reason in `tried`, if that does not work."""
    folder = cache_dir() / "uv"
    uv = folder / "bin" / "uv"
    if uv.exists():
        return str(uv)
    for command in ([sys.executable, "-m", "venv", str(folder)], [str(folder / "bin" / "pip"), "install", "-q", "uv"]):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            tried.append(f"`{' '.join(command)}`: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
            return None
    return str(uv)
