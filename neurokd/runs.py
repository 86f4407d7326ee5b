"""The run folder: everything one training left behind.

`recipe.yaml`, `environment.json`, `splits.npz`, `metrics.csv`, `checkpoints/`, `result.json` (written
last: a run without it is unfinished and can be resumed), `qat/` (a run folder of its own), `export/`, `report/`.
"""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from neurokd.data.images import Split
from neurokd.errors import NeurokdError, RunBusy
from neurokd.files import atomic_file, write_json
from neurokd.recipe import Recipe, load_recipe

RUNS = Path("runs")


@dataclass(frozen=True)
class Run:
    """One run by its folder; reads are checked, writes are atomic."""

    path: Path

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe that the run was started with."""
        file = self.path / "recipe.yaml"
        if not file.is_file():
            raise NeurokdError(f"run '{self.path}': no recipe.yaml; this is not a run folder")
        return load_recipe(file)

    @property
    def finished(self) -> bool:
        """Whether training came to its end."""
        return (self.path / "result.json").is_file()

    def result(self) -> dict[str, Any]:
        """What training measured; NeurokdError if the run is unfinished or the file is damaged."""
        if not self.finished:
            raise NeurokdError(
                f"run '{self.path}': training has not finished; continue it with: neurokd train --resume"
            )
        return read_json(self.path / "result.json")

    @property
    def qat(self) -> "Run":
        """The quantisation-aware training of this run's student; it may not be there."""
        return Run(self.path / "qat")

    @property
    def wanted(self) -> Recipe:
        """The recipe with the `qat` section that was begun, where one was: a finished run may get it later."""
        return self.qat.recipe if (self.qat.path / "recipe.yaml").is_file() else self.recipe

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for is done: the training, and the one in integers."""
        return self.finished and (self.wanted.qat is None or self.qat.finished)

    @property
    def busy(self) -> bool:
        """Whether a process is training it now."""
        if not (self.path / ".lock").exists():
            return False
        try:
            with exclusive(self):
                return False
        except RunBusy:
            return True

    @property
    def checkpoints(self) -> Path:
        """Folder of Lightning's checkpoints and of the chosen weights."""
        return self.path / "checkpoints"

    @property
    def weights(self) -> Path:
        """The weights of the best epoch on validation data."""
        return self.checkpoints / "best.safetensors"

    @property
    def export(self) -> Path:
        """Folder of the artefact."""
        return self.path / "export"

    def check_export(self) -> None:
        """Raise NeurokdError for an artefact that is older than the training in integers that it should hold."""
        manifest = self.export / "manifest.json"
        if not (self.qat.finished and manifest.is_file()):
            return
        exported, trained = (str(values.get("created", "")) for values in (read_json(manifest), self.qat.result()))
        if exported < trained:  # both in UTC, ISO 8601
            raise NeurokdError(
                f"run '{self.path}': its artefact is older than its training in integers; write it again with: "
                f"neurokd export {self.path}"
            )

    def save_weights(self, model: nn.Module) -> None:
        """Write the model's state as `best.safetensors`."""
        with atomic_file(self.weights) as part:
            save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, part)

    def load_weights(self, model: nn.Module) -> None:
        """Load `best.safetensors` into `model`; NeurokdError if it is damaged or of another model."""
        if not self.weights.is_file():
            raise NeurokdError(
                f"run '{self.path}': no weights at '{self.weights}'; delete '{self.path}' and train it again"
            )
        try:
            state = load_file(self.weights)
        except (SafetensorError, ValueError) as error:
            raise NeurokdError(
                f"weights '{self.weights}': damaged file: {error}; delete '{self.path}' and train it again"
            ) from error
        wanted = model.state_dict()
        wrong = sorted(set(state) ^ set(wanted)) or [k for k in wanted if wanted[k].shape != state[k].shape]
        if wrong:
            raise NeurokdError(
                f"weights '{self.weights}': made for another model than the recipe's; "
                f"{len(wrong)} tensors differ, first '{wrong[0]}'"
            )
        model.load_state_dict(state)

    def save_split(self, split: Split) -> None:
        """Write the indices into the training images and their part."""
        with atomic_file(self.path / "splits.npz") as part, part.open("wb") as file:
            np.savez(file, train=split.train, validation=split.validation)

    def load_split(self) -> Split:
        """The indices that the run was trained with; NeurokdError if the file is missing or damaged."""
        path = self.path / "splits.npz"
        try:
            with np.load(path, allow_pickle=False) as parts:
                return Split(parts["train"], parts["validation"])
        except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
            raise NeurokdError(f"'{path}': missing or damaged; train the run again") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; NeurokdError naming the file if it is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NeurokdError(f"'{path}': no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NeurokdError(f"'{path}': damaged JSON: {error}") from error
    if not isinstance(value, dict):
        raise NeurokdError(f"'{path}': expected a JSON object, got {type(value).__name__}")
    return value


def create_run(recipe: Recipe, path: Path) -> Run:
    """Make the folder of a new run, or take up an unfinished one of the same recipe."""
    run = Run(path)
    if (path / "recipe.yaml").exists():
        if run.recipe != recipe:
            raise NeurokdError(f"run '{path}': was started with another recipe; name another folder or recipe")
        return run
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / "environment.json", environment())
    with atomic_file(path / "recipe.yaml") as part:
        part.write_text(recipe.to_yaml(), encoding="utf-8")
    return run


@contextmanager
def exclusive(run: Run) -> Iterator[None]:
    """Keep other processes from training into the same folder; the lock goes with its process.

    Raises RunBusy, a NeurokdError, where another one holds it.
    """
    lock = FileLock(run.path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunBusy(f"run '{run.path}': another process is training it; wait, or name another --out") from error
    try:
        yield
    finally:
        lock.release()


def next_path(name: str, root: Path = RUNS) -> Path:
    """The first free folder `root/name-NNN`."""
    taken = [int(p.name[len(name) + 1 :]) for p in root.glob(f"{name}-*") if p.name[len(name) + 1 :].isdigit()]
    return root / f"{name}-{max(taken, default=0) + 1:03d}"


def find_run(name: str | None = None, root: Path = RUNS) -> Run:
    """The run of that name or path; without a name the newest finished one in `root`."""
    if name is None:
        runs = [run for run in _runs(root) if run.finished]
        if not runs:
            raise NeurokdError(f"no finished run in '{root}'; train one with: neurokd train recipes/digits-tser.yaml")
        return runs[-1]
    for path in (Path(name), root / name):
        if (path / "recipe.yaml").is_file():
            return Run(path)
    raise NeurokdError(f"run '{name}': no recipe.yaml in '{Path(name)}' or '{root / name}'")


def find_unfinished(recipe: Recipe | None, root: Path = RUNS) -> Run:
    """The newest unfinished run in `root`, of `recipe` if one is given."""
    for run in reversed(_runs(root)):
        if not run.complete and (recipe is None or recipe in (run.recipe, run.wanted)):
            return run
    what = "this recipe (with these settings)" if recipe else "any recipe"
    raise NeurokdError(f"nothing to resume: no unfinished run of {what} in '{root}'")


def _runs(root: Path) -> list[Run]:
    """The runs in `root`, oldest first."""
    recipes = sorted(root.glob("*/recipe.yaml"), key=lambda file: file.stat().st_mtime_ns)
    return [Run(file.parent) for file in recipes]


def environment() -> dict[str, Any]:
    """What a reader needs to judge a figure: versions, machine class, date."""
    packages = ("neurokd", "torch", "torchvision", "lightning", "norse", "nir", "numpy")
    return {
        "created": now(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_count": os.cpu_count(),
        "versions": {name: version(name) for name in packages},
    }


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
