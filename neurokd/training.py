"""`fit`: train a recipe into a complete run, or continue one."""

import logging
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurokd.allocator import keep_freed_memory
from neurokd.data.dataset import load_dataset
from neurokd.data.images import DataSet, Split
from neurokd.data.loader import batches
from neurokd.data.splits import fingerprint, split
from neurokd.distiller import Distiller
from neurokd.evaluation import evaluate
from neurokd.files import write_json
from neurokd.inputs import to_input
from neurokd.loop import train
from neurokd.models.macs import count_macs
from neurokd.networks import build_ann, build_student
from neurokd.recipe import Recipe
from neurokd.runs import Run, create_run, exclusive, now
from neurokd.start import check_start, describe_start, give_start
from neurokd.trial import check_logits

logger = logging.getLogger(__name__)


def load_data(recipe: Recipe, data_root: Path | None = None) -> DataSet:
    """The data of a recipe as its network sees them: of event recordings its own frames, one a step.

    Raises NeurokdError where they are missing or damaged.
    """
    spare, before = recipe.data.augment.temporal_crop, recipe.teacher_frames
    return load_dataset(recipe.data, data_root).window(recipe.first_frame, recipe.timesteps, spare, before)


def samples(recipe: Recipe, dataset: DataSet) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Two training samples as the student gets them, and what its teacher is shown instead, where that differs."""
    own = recipe.teacher_frames
    shown = dataset.lessons.window(0, own).images[:2] if own and dataset.lessons else None
    return to_input(dataset.train.images[:2]), None if shown is None else to_input(shown)


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
    dataset = load_data(recipe, data_root)
    parts = split(dataset, recipe.data.validation, recipe.data.split_seed)
    student = build_student(recipe, dataset.shape, len(dataset.classes))
    if not Run(path).finished:
        _try_out(student, recipe, dataset, parts)
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
    sample, shown = samples(recipe, dataset)
    teacher = teacher_of(recipe, dataset, data_root, progress=progress) if recipe.uses_teacher else None
    ann = load_model(teacher.run, dataset) if teacher else None
    give_start(student, recipe, ann)
    distilled = ann if recipe.method.needs_teacher else None
    module = Distiller(
        student, recipe.method, recipe.training, recipe.seed, teacher=distilled, sample=sample, shown=shown
    )
    logger.info("training '%s' in %s", recipe.model.name, run.path)
    start = time.perf_counter()
    best_epoch = train(module, run, dataset, parts, progress)
    seconds = time.perf_counter() - start
    result = _measure(student, run, dataset, parts)
    result["student"]["best_epoch"] = best_epoch
    result["student"] |= describe_start(recipe, ann, dataset)
    result["teacher"] = teacher.describe() if teacher else None
    result["wall_s"] = {"teacher": teacher.result["wall_s"]["student"] if teacher else None, "student": seconds}
    return result


def _try_out(student: nn.Module, recipe: Recipe, dataset: DataSet, parts: Split) -> None:
    """Try the untrained networks once, so that what does not fit is known before a folder or a teacher is made."""
    (sample, shown), classes = samples(recipe, dataset), len(dataset.classes)
    training, augment = recipe.training, recipe.data.augment
    varied = dataset.lessons or dataset.train
    if training.epochs:
        batches(varied, parts.train, training.batch_size, augment=augment, seed=recipe.seed, shuffle=True)
    check_logits(student, recipe.model.name, sample, classes)
    ann = None
    if recipe.uses_teacher:
        wanted = recipe.teacher_recipe()
        ann = build_student(wanted, dataset.shape, classes)
        check_logits(ann, wanted.model.name, sample, classes)
        check_start(ann, wanted, None, dataset, parts)
    check_start(student, recipe, ann, dataset, parts)
    if recipe.method.needs_teacher:
        Distiller(student, recipe.method, training, recipe.seed, teacher=ann, sample=sample, shown=shown).on_fit_end()


def _measure(student: nn.Module, run: Run, dataset: DataSet, parts: Split) -> dict[str, Any]:
    """Everything `result.json` says about the student; here the test set is used."""
    recipe = run.recipe
    validation = evaluate(student, dataset.train.subset(torch.as_tensor(parts.validation)))
    test = evaluate(student, dataset.test)
    network = getattr(student, "net", student)
    looks = recipe.timesteps if recipe.neuron is None else 1  # an ANN computes every frame as an image of its own
    return {
        "format": 1,
        "name": run.path.name,
        "created": now(),
        "timesteps": recipe.timesteps,
        "classes": list(dataset.classes),
        "method": recipe.method.name,
        "published": recipe.published.model_dump() if recipe.published else None,
        "data": {
            "name": dataset.name,
            "fingerprint": {"train": dataset.train.fingerprint(), "test": dataset.test.fingerprint()},
            "train": len(parts.train),
            "validation": len(parts.validation),
            "split": {"train": fingerprint(parts.train), "validation": fingerprint(parts.validation)},
            "test": len(dataset.test),
        },
        "student": {
            "model": recipe.model.name,
            "parameters": sum(p.numel() for p in network.parameters()),
            "macs": looks * count_macs(build_ann(recipe, dataset.shape, len(dataset.classes)), dataset.shape),
            "accuracy": test.accuracy_per_step[-1],
            "accuracy_per_step": test.accuracy_per_step,
            "validation_accuracy": validation.accuracy_per_step[-1],
            "firing_rate": test.firing_rate,
        },
    }
