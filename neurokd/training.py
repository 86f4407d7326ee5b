"""`fit`: train a recipe into a complete run, or continue one."""

import logging
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import nn

from neurokd.allocator import keep_freed_memory
from neurokd.data.dataset import load_dataset
from neurokd.data.images import DataSet, Split
from neurokd.data.splits import split
from neurokd.distiller import Distiller
from neurokd.evaluation import evaluate
from neurokd.files import write_json
from neurokd.loop import train
from neurokd.models import build_model
from neurokd.models.macs import count_macs
from neurokd.recipe import Recipe
from neurokd.runs import Run, create_run, exclusive, now
from neurokd.spiking import to_spiking

logger = logging.getLogger(__name__)


def build_ann(recipe: Recipe, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The untrained ANN of a recipe, before any activation is swapped."""
    return build_model(recipe.model.name, shape, classes, **recipe.model.options())


def build_student(recipe: Recipe, dataset_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The untrained network of a recipe: spiking, or the plain ANN for `neuron: null`."""
    L.seed_everything(recipe.seed, verbose=False)
    ann = build_ann(recipe, dataset_shape, classes)
    model = ann if recipe.neuron is None else to_spiking(ann, recipe.neuron, recipe.timesteps)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def load_model(run: Run, dataset: DataSet) -> nn.Module:
    """The trained network of a run, in evaluation mode."""
    model = build_student(run.recipe, dataset.shape, len(dataset.classes))
    run.load_weights(model)
    return model.eval()


def fit(recipe: Recipe, path: Path, *, data_root: Path | None = None, progress: bool = True) -> Run:
    """Train `recipe` into the run folder `path`, continuing there if it was interrupted.

    The teacher is trained first, or taken from the cache (`neurokd.teachers`). The best epoch on
    validation data is kept; the test set is used once, at the end. On Linux this process keeps the
    memory it frees from here on (`neurokd.allocator`). Raises NeurokdError for data that is missing,
    a model that cannot be built, a loss that is not finite.
    """
    keep_freed_memory()
    dataset = load_dataset(recipe.data, data_root)
    parts = split(dataset, recipe.data.validation, recipe.data.split_seed)
    student = build_student(recipe, dataset.shape, len(dataset.classes))
    run = create_run(recipe, path)
    with exclusive(run):
        if not run.finished:
            run.save_split(parts)
            result = _train_and_measure(student, run, dataset, parts, data_root, progress)
            write_json(run.path / "result.json", result)
    return run


def _train_and_measure(
    student: nn.Module, run: Run, dataset: DataSet, parts: Split, data_root: Path | None, progress: bool
) -> dict[str, Any]:
    from neurokd.teachers import teacher_of

    recipe = run.recipe
    teacher = teacher_of(recipe, dataset, data_root, progress=progress) if recipe.method.needs_teacher else None
    module = Distiller(student, recipe.method, recipe.training, recipe.seed)
    module.frozen = [load_model(teacher.run, dataset)] if teacher else []
    logger.info("training '%s' in %s", recipe.model.name, run.path)
    start = time.perf_counter()
    best_epoch = train(module, run, dataset, parts, progress)
    seconds = time.perf_counter() - start
    result = _measure(student, run, dataset, parts)
    result["student"]["best_epoch"] = best_epoch
    result["teacher"] = teacher.describe() if teacher else None
    result["wall_s"] = {"teacher": teacher.result["wall_s"]["student"] if teacher else None, "student": seconds}
    return result


def _measure(student: nn.Module, run: Run, dataset: DataSet, parts: Split) -> dict[str, Any]:
    """Everything `result.json` says about the student; here the test set is used."""
    recipe = run.recipe
    validation = evaluate(student, dataset.train.subset(torch.as_tensor(parts.validation)))
    test = evaluate(student, dataset.test)
    network = getattr(student, "net", student)
    return {
        "format": 1,
        "name": run.path.name,
        "created": now(),
        "timesteps": recipe.timesteps,
        "classes": list(dataset.classes),
        "method": recipe.method.name,
        "data": {
            "name": dataset.name,
            "fingerprint": {"train": dataset.train.fingerprint(), "test": dataset.test.fingerprint()},
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(dataset.test),
        },
        "student": {
            "model": recipe.model.name,
            "parameters": sum(p.numel() for p in network.parameters()),
            "macs": count_macs(build_ann(recipe, dataset.shape, len(dataset.classes)), dataset.shape),
            "accuracy": test.accuracy_per_step[-1],
            "accuracy_per_step": test.accuracy_per_step,
            "validation_accuracy": validation.accuracy_per_step[-1],
            "firing_rate": test.firing_rate,
        },
    }
