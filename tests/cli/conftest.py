"""What the tests of the commands share."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the module's `trained` folder, which holds recipes and their runs, as the current one."""
    shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"
