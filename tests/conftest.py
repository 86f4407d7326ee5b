"""Skip, with the reason, what this machine cannot run; data that a small network learns in a second."""

import functools
import os
from collections.abc import Callable
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


@pytest.fixture(scope="session")
def write_data() -> Callable[..., Path]:
    """Write a set of two classes that a small network can learn: bright left half or bright right half, 8 x 8."""

    def write(
        folder: Path, train: int = 120, test: int = 40, noise: int = 80, contrast: int = 120, seed: int = 0
    ) -> Path:
        generator = np.random.default_rng(seed)
        folder.mkdir(parents=True, exist_ok=True)
        for part, count in (("train", train), ("test", test)):
            labels = np.arange(count) % 2
            images = generator.integers(0, noise, (count, 8, 8), dtype=np.uint8)
            for image, label in zip(images, labels, strict=True):
                image[:, 4 * label : 4 * label + 4] += contrast
            np.savez(folder / f"{part}.npz", images=images, labels=labels)
        return folder

    return write


@pytest.fixture(scope="session")
def write_recordings() -> Callable[..., Path]:
    """Write recordings of two classes: most of 200 events in the left or in the right half of 8 x 8."""
    from neurokd.events.archive import write_events
    from neurokd.events.recording import Events
    from neurokd.events.sets import EventSet

    def write(folder: Path, train: int = 80, test: int = 40) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for part, count, seed in (("train", train, 0), ("test", test, 1)):
            generator = np.random.default_rng(seed)
            recordings, labels = [], np.arange(count) % 2
            for label in labels:
                side = np.where(generator.random(200) < 0.8, label, 1 - label)
                x = 4 * side + generator.integers(0, 4, 200)
                t = np.sort(generator.integers(0, 100_000, 200))
                y, p = generator.integers(0, 8, 200), generator.integers(0, 2, 200)
                recordings.append(Events(t, x, y, p, (8, 8)))
            write_events(folder / f"{part}.npz", EventSet.of(recordings, labels, np.arange(count) + 1000 * seed))
        return folder

    return write


@pytest.fixture
def data(write_data: Callable[..., Path], tmp_path: Path) -> Path:
    """The small set."""
    return write_data(tmp_path / "data")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
