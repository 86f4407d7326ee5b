"""The Python that runs Lava: this one if Lava is here, else a managed environment in the user's cache."""

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from neurokd.cache import cache_dir
from neurokd.errors import NeurokdError
from neurokd.hardware.lava.interpreter import REQUIRED, VARIABLE, ask

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PACKAGES = ("lava-nc", "lava-dl")
MARKER = "complete.json"  # written last: an environment without it is half-built
_VERSIONS = (
    "import sys, json; from importlib.metadata import version; "
    f"print(json.dumps(['%d.%d.%d' % sys.version_info[:3], {{n: version(n) for n in {PACKAGES!r}}}]))"
)


class LavaMissing(NeurokdError):
    """There is no Lava on this machine that neurokd can use."""


@dataclass(frozen=True)
class LavaStatus:
    """Whether Lava can run here. `python` is the interpreter to run it with, `problem` why there is none."""

    installed: bool
    python: Path | None = None
    python_version: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    found: str | None = None
    problem: str | None = None

    def summary(self) -> str:
        """One line for people.

        >>> LavaStatus(False, problem="no folder").summary()
        'Lava: not installed (no folder)'
        """
        if not self.installed:
            return f"Lava: not installed ({self.problem})"
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"Lava: {versions} on Python {self.python_version} ({self.found})"

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {**asdict(self), "python": None if self.python is None else str(self.python)}


def status() -> LavaStatus:
    """Find Lava: in this interpreter, in the one that $NEUROKD_LAVA_PYTHON names, in the managed environment."""
    here = _in_this_interpreter()
    if here:
        return here
    chosen = os.environ.get(VARIABLE)
    if chosen:
        answer = _examine(Path(chosen), f"${VARIABLE}")
        if answer.installed:
            return answer
    return managed_status()


def managed_status() -> LavaStatus:
    """Look at the managed environment alone."""
    folder = environment_dir()
    if not (folder / MARKER).exists():
        state = "is half-built" if folder.exists() else "does not exist"
        return LavaStatus(False, problem=f"the managed environment {folder} {state}")
    return _examine(interpreter_of(folder), "managed environment")


def lava_python() -> LavaStatus:
    """Return the status of a Lava that works; raises LavaMissing, saying what to do, if there is none."""
    found = status()
    if not found.installed:
        raise LavaMissing(f"Lava is not installed: {found.problem}; run `neurokd lava install`")
    return found


def lava_versions() -> Mapping[str, str]:
    """Versions of lava-nc and lava-dl; empty where there is no Lava."""
    return status().versions


def loihi2_extension() -> bool | None:
    """Whether Lava's Loihi 2 extension (Intel's INRC members have it) is installed; None without Lava."""
    found = status()
    if found.python is None:
        return None
    code = "import json; from lava.utils.loihi import is_installed; print(json.dumps(is_installed()))"
    try:
        return bool(ask(found.python, code))
    except (OSError, ValueError):
        return None


def environment_dir() -> Path:
    """Folder of the managed environment, shared by all checkouts that pin the same versions."""
    return cache_dir() / f"lava-{sha256(REQUIREMENTS.read_bytes()).hexdigest()[:10]}"


def interpreter_of(folder: Path) -> Path:
    """Interpreter of the virtual environment `folder`."""
    return folder / "bin" / "python"


def _in_this_interpreter() -> LavaStatus | None:
    try:
        versions = {name: metadata.version(name) for name in PACKAGES}
    except metadata.PackageNotFoundError:
        return None
    version = ".".join(str(part) for part in sys.version_info[:3])
    if not version.startswith(f"{REQUIRED}."):
        return None
    return LavaStatus(True, Path(sys.executable), version, versions, "this interpreter")


def _examine(python: Path, found: str) -> LavaStatus:
    """Ask `python` for its Lava."""
    try:
        version, versions = ask(python, _VERSIONS)
    except (OSError, ValueError) as error:
        return LavaStatus(False, problem=f"{python} ({found}): {error}")
    return LavaStatus(True, python, version, versions, found)
