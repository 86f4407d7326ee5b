"""What the tests of the commands share."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from neurokd.cli.main import run as neurokd


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the module's `trained` folder, which holds recipes and their runs, as the current one."""
    shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture(scope="module")
def train_small(tmp_path_factory: pytest.TempPathFactory, write_data: Callable[..., Path]) -> Callable[[str], Path]:
    """Write `small.yaml`, whose DATA is the small set, into a folder, train it there, and return the folder."""

    def train(recipe: str) -> Path:
        folder = tmp_path_factory.mktemp("project")
        write_data(folder / "data")
        (folder / "small.yaml").write_text(recipe.replace("DATA", str(folder / "data")))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            assert neurokd(["train", "small.yaml", "--no-progress", "--no-check"]) == 0
        return folder

    return train
