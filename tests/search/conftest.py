"""A small search: two classes that a small network can learn, and a space of 16 subnets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from neurokd.search.spec import Search, load_search

NOTHING: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(write_data: Callable[..., Path], tmp_path: Path) -> Path:
    """The small set, harder to tell apart."""
    return write_data(tmp_path / "data", train=160, noise=120, contrast=60)


@pytest.fixture
def write_search(data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a search file; changes replace its keys, `base` those of its recipe, None removes one."""

    def write(base: dict[str, Any] | None = NOTHING, **changes: Any) -> Path:
        recipe: dict[str, Any] = {
            "name": "small",
            "data": {"name": "arrays", "path": str(data), "validation": 0.25},
            "timesteps": 2,
            "method": {"name": "ce"},
            "training": {"epochs": 2, "batch_size": 24, "lr": 0.01},
        }
        values: dict[str, Any] = {
            "base": None if base is None else {**recipe, **base},
            "space": {"channels": [[4, 6], [6, 8]], "depths": [[1, 2], [1, 2]]},
            "random_subnets": 1,
            "samples": 6,
            "calibration_images": 64,
        }
        values = {key: value for key, value in {**values, **changes}.items() if value is not None}
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


@pytest.fixture
def search(write_search: Callable[..., Path]) -> Search:
    """The small search as it is."""
    return load_search(write_search())
