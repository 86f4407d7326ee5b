"""A small set that a small network learns, and results that need no training."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from neurokd.runs import create_run
from neurokd.sweep.grid import Point


@pytest.fixture
def data(write_data: Callable[..., Path], cache: Path, tmp_path: Path) -> Path:
    """The small set; the cache is the test's own."""
    return write_data(tmp_path / "data", train=60, test=20)


@pytest.fixture
def base(data: Path) -> dict[str, Any]:
    """The recipe that the sweeps change: cross-entropy, one epoch."""
    return {
        "name": "small",
        "data": {"name": "arrays", "path": str(data)},
        "model": {"name": "vgg-tiny", "width": 4},
        "timesteps": 2,
        "method": {"name": "ce"},
        "training": {"epochs": 1, "batch_size": 16},
        "teacher": {"model": {"name": "vgg-tiny", "width": 4}, "training": {"epochs": 1, "batch_size": 16}},
    }


@pytest.fixture
def write(tmp_path: Path, base: dict[str, Any]) -> Callable[..., Path]:
    """Write a sweep file; keys given here replace or add to `base`, the recipe."""

    def write_file(**keys: Any) -> Path:
        path = tmp_path / "campaign.yaml"
        path.write_text(yaml.safe_dump({"base": base, **keys}, sort_keys=False))
        return path

    return write_file


@pytest.fixture
def finish() -> Callable[..., None]:
    """Leave the files of a finished run with these accuracies after each step."""

    def write_result(point: Point, steps: Sequence[float], firing_rate: float = 0.25, seconds: float = 12.0) -> None:
        create_run(point.recipe, point.run.path)
        student = {
            "model": "vgg-tiny",
            "accuracy": steps[-1],
            "accuracy_per_step": list(steps),
            "firing_rate": {"a": firing_rate - 0.1, "b": firing_rate + 0.1},
        }
        result = {
            "format": 1,
            "name": point.run.path.name,
            "timesteps": point.recipe.timesteps,
            "method": point.recipe.method.name,
            "data": {"name": "arrays", "test": 10_000},
            "student": student,
            "teacher": {"model": "vgg-tiny", "accuracy": 0.95} if point.recipe.method.needs_teacher else None,
            "wall_s": {"student": seconds},
        }
        (point.run.path / "result.json").write_text(json.dumps(result))

    return write_result
