"""Teachers: trained once, kept in the cache by content, reused by every recipe that asks for the same."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from neurokd.cache import cache_dir
from neurokd.data.images import DataSet
from neurokd.errors import NeurokdError
from neurokd.networks import build_ann
from neurokd.recipe import Recipe
from neurokd.runs import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Teacher:
    """A trained teacher's run and what it measured."""

    run: Run
    result: dict[str, Any]
    reused: bool

    def describe(self) -> dict[str, Any]:
        """The teacher's entry in the student's `result.json`."""
        student = self.result["student"]
        return {
            "model": student["model"],
            "parameters": student["parameters"],
            "macs": student["macs"],
            "accuracy": student["accuracy"],
            "validation_accuracy": student["validation_accuracy"],
            "reused": self.reused,
            "key": self.run.path.name,
        }


def teacher_key(recipe: Recipe, dataset: DataSet) -> str:
    """SHA-256 over the teacher's recipe, its tensors' names and shapes, and the training images.

    The values of the tensors count, too, where they are those of a file, or no training follows them.

    Equal content, equal teacher; a changed model of the same name is another teacher. Keys of the recipe that
    are left at their defaults do not count, so that a new key leaves the cache alone; should a default change,
    the run's own recipe differs, and that is refused.
    """
    wanted = recipe.teacher_recipe()
    digest = hashlib.sha256(wanted.model_dump_json(exclude_defaults=True).encode())
    tensors = build_ann(wanted, dataset.shape, len(dataset.classes)).state_dict()
    digest.update(repr([(name, tuple(tensor.shape)) for name, tensor in tensors.items()]).encode())
    if wanted.model.name.startswith("onnx:") or wanted.training.epochs == 0:
        for tensor in tensors.values():
            digest.update(tensor.contiguous().numpy().tobytes())
    digest.update(dataset.train.fingerprint().encode())
    return digest.hexdigest()[:16]


def teacher_of(recipe: Recipe, dataset: DataSet, data_root: Path | None, *, progress: bool) -> Teacher:
    """The teacher of `recipe`: reused if it was trained before, else trained (or continued) now.

    Raises NeurokdError that says what to delete if it lies damaged in the cache.
    """
    from neurokd.training import fit

    wanted = recipe.teacher_recipe()
    path = cache_dir() / "teachers" / f"{wanted.name}-{teacher_key(recipe, dataset)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        run = Run(path)
        reused = run.finished
        logger.info("teacher %s: %s", path.name, "reused from the cache" if reused else "training it first")
        if reused:
            _check_cached(run, wanted)
        else:
            run = fit(wanted, path, data_root=data_root, progress=progress)
    return Teacher(run, run.result(), reused)


def _check_cached(run: Run, wanted: Recipe) -> None:
    """Raise NeurokdError unless everything that is read of a cached teacher, but for its weights, is there."""
    try:
        if run.recipe != wanted:
            raise NeurokdError("its recipe.yaml is not the one that it is kept under")
        result = run.result()
        _ = Teacher(run, result, reused=True).describe(), result["wall_s"]["student"]
    except (NeurokdError, KeyError, TypeError) as error:
        reason = error if isinstance(error, NeurokdError) else f"result.json is damaged ({error})"
        raise NeurokdError(
            f"teacher '{run.path.name}' in the cache: {reason}; delete '{run.path}' and it is trained again"
        ) from error
