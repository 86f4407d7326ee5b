"""Two students, a teacher and a plain ANN, trained for a moment on two classes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from neurokd.recipe import Recipe, parse_recipe
from neurokd.runs import Run
from neurokd.training import fit


@dataclass(frozen=True)
class Trained:
    """Runs by name, and the folder that holds `data`, `cache` and `runs`."""

    root: Path
    runs: dict[str, Run]


def small_recipe(data: Path, **changes: object) -> Recipe:
    """A recipe for `data`: TSER with two steps."""
    training = {"epochs": 2, "batch_size": 16, "lr": 0.01}
    values: dict[str, object] = {
        "name": "small",
        "data": {"name": "arrays", "path": str(data)},
        "model": {"name": "vgg-tiny", "width": 4},
        "timesteps": 2,
        "method": {"name": "tser"},
        "training": training,
        "teacher": {"model": {"name": "vgg-tiny", "width": 4}, "training": training},
    }
    return parse_recipe({**values, **changes})


CONVERTED: dict[str, object] = {
    "start": "converted",
    "neuron": {"decay": 1.0, "reset": "soft", "initial": 0.5},
    "method": {"name": "ce"},
    "timesteps": 3,
    "teacher": {
        "model": {"name": "vgg-tiny", "width": 4},
        "qcfs": {"levels": 4, "threshold": 2.0},
        "training": {"epochs": 1, "batch_size": 16},
    },
}
ANN: dict[str, object] = {"neuron": None, "timesteps": 1, "method": {"name": "ce"}, "teacher": None}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, write_data: Callable[..., Path]) -> Trained:
    """Runs `tser`, `converted` and `ann` on one data set, `elsewhere` on another."""
    root = tmp_path_factory.mktemp("figures")
    data = write_data(root / "data", train=80)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROKD_CACHE", str(root / "cache"))
        changes: dict[str, dict[str, object]] = {"tser": {}, "converted": CONVERTED, "ann": ANN}
        runs = {
            name: fit(small_recipe(data, **change), root / "runs" / name, progress=False)
            for name, change in changes.items()
        }
        other = small_recipe(write_data(root / "second" / "data", train=80, seed=1), **ANN)
        runs["elsewhere"] = fit(other, root / "runs" / "elsewhere", progress=False)
    return Trained(root, runs)


@pytest.fixture(scope="session")
def recorded(trained: Trained, write_recordings: Callable[..., Path]) -> Run:
    """HSD on recordings: a teacher of frames 1 to 3, a student of 4 and 5."""
    model = {"name": "vgg-tiny", "width": 4}
    training = {"epochs": 1, "batch_size": 16}
    events = {"frames": 5, "pretrain": 3, "max_count": 63}
    folder = write_recordings(trained.root / "halves")
    changes = {**CONVERTED, "method": {"name": "hsd"}, "neuron": {"decay": 0.5}}
    del changes["timesteps"]
    recipe = parse_recipe({
        **changes, "name": "recorded", "data": {"name": "events", "path": str(folder), "events": events},
        "model": model, "training": training,
    })  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROKD_CACHE", str(trained.root / "cache"))
        return fit(recipe, trained.root / "runs" / "recorded", progress=False)


@pytest.fixture(autouse=True)
def cache(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache in which the teachers of `trained` lie."""
    monkeypatch.setenv("NEUROKD_CACHE", str(trained.root / "cache"))
    yield trained.root / "cache"
