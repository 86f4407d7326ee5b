"""Fake interpreters and random networks for the tests of the Lava room."""

from collections.abc import Callable
from pathlib import Path

import pytest

from neurokd.export.network import IntArray, LoihiNetwork

from ...random_networks import random_case

FakePython = Callable[..., Path]
LAVA = '["3.10.9", {"lava-nc": "0.10.0", "lava-dl": "0.6.0"}]'


@pytest.fixture
def fake_python(tmp_path: Path) -> FakePython:
    """Return a function that writes an executable which answers as a Python of that version would.

    `lava`: it has Lava. `worker`: shell commands that run in place of the worker. `other`: commands for all else.
    """

    def write(path: Path, version: str = "", lava: bool = False, worker: str = "exit 1", other: str = "exit 1") -> Path:
        versions = f"echo '{LAVA}'" if lava else "echo no lava >&2; exit 1"
        probe = f"echo '\"{version}\"'" if version else "echo no such version >&2; exit 127"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "#!/bin/sh\n"
            'case "$*" in\n'
            f"  *worker.py*) {worker} ;;\n"
            f"  *ensurepip*) {probe} ;;\n"
            f"  *importlib.metadata*) {versions} ;;\n"
            f"  *) {other} ;;\n"
            "esac\n"
        )
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def case() -> Callable[..., tuple[LoihiNetwork, IntArray]]:
    """Return the maker of random networks and inputs."""
    return random_case
