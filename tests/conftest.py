"""Skip, with the reason, what this machine cannot run; data that a small network learns in a second."""

import functools
import os
from pathlib import Path

import numpy as np
import pytest


@functools.cache
def lava_problem() -> str | None:
    """Why Lava cannot run here, or None."""
    if os.environ.get("NEUROKD_SKIP_LAVA"):
        return "NEUROKD_SKIP_LAVA is set"
    from neurokd.hardware.lava.environment import status

    found = status()
    return None if found.installed else f"{found.summary()}; run `neurokd lava install`"


@functools.cache
def gpu_problem() -> str | None:
    """Why there is no GPU here, or None."""
    import torch

    return None if torch.cuda.is_available() else "no GPU"


PROBLEMS = {"lava": lava_problem, "gpu": gpu_problem}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Hold the markers of a test against the machine."""
    for marker, problem in PROBLEMS.items():
        if item.get_closest_marker(marker) and problem():
            pytest.skip(str(problem()))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small set of two classes that a small network can learn: bright left half or bright right half."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 120), ("test", 40)):
        labels = np.arange(count) % 2
        images = generator.integers(0, 80, (count, 8, 8), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[:, 4 * label : 4 * label + 4] += 120
        (tmp_path / "data").mkdir(exist_ok=True)
        np.savez(tmp_path / "data" / f"{part}.npz", images=images, labels=labels)
    return tmp_path / "data"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
