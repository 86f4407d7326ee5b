"""Small sets of events, and a cache that belongs to one test."""

import os
from pathlib import Path

import numpy as np
import pytest

from neurokd.events.recording import Events
from neurokd.events.sets import EventSet


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the caches of tests out of the user's."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("NEUROKD_CACHE", str(cache))
    return cache


@pytest.fixture
def toy() -> EventSet:
    """Five recordings of 40..80 random events on 10 x 12."""
    generator = np.random.default_rng(0)
    recordings = []
    for size in range(40, 90, 10):
        t = np.sort(generator.integers(0, 1000, size))
        x, y, p = (generator.integers(0, top, size) for top in (12, 10, 2))
        recordings.append(Events(t, x, y, p, (10, 12)))
    return EventSet.of(recordings, [0, 1, 2, 0, 1], sample_ids=[7, 3, 11, 2, 5], classes=("ant", "bee", "cat"))


@pytest.fixture
def nmnist() -> Path:
    """The folder of N-MNIST recordings below the data root, or a skip."""
    named = os.environ.get("NEUROKD_DATA")
    if not named or not (Path(named) / "nmnist1100").is_dir():
        pytest.skip("NEUROKD_DATA has no nmnist1100 here")
    return Path(named) / "nmnist1100"
