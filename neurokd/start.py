"""The weights that a network has before its training: random, its teacher's, or those of another run."""

import copy
from typing import Any

import numpy as np
from torch import nn

from neurokd.data.images import DataSet, Split
from neurokd.errors import NeurokdError
from neurokd.evaluation import evaluate
from neurokd.networks import build_ann, build_student
from neurokd.recipe import Recipe
from neurokd.runs import Run
from neurokd.taps import tapped
from neurokd.trial import check_weights_given


def give_start(student: nn.Module, recipe: Recipe, ann: nn.Module | None) -> None:
    """Give `student` the weights with which `recipe` starts; `ann` is its teacher. Random ones it has already.

    Raises NeurokdError if their tensors differ, or the run of `weights_from` is not there.
    """
    if recipe.weights_from is not None:
        Run(recipe.weights_from).load_weights(student)
    elif recipe.starts_from_teacher and ann is not None:
        _copy(student, ann)


def check_start(student: nn.Module, recipe: Recipe, ann: nn.Module | None, dataset: DataSet, parts: Split) -> None:
    """Raise NeurokdError for a start that fails or leaves an untrained network at random weights.

    So does a run of `weights_from` that was trained on images with which this one is validated: the epoch that is
    chosen would be the one that remembers them best. Both networks are left as they are.
    """
    if recipe.weights_from is not None:
        _check_run(Run(recipe.weights_from), dataset, parts)
    elif recipe.start == "random" and recipe.training.epochs == 0:
        check_weights_given(lambda: build_ann(recipe, dataset.shape, len(dataset.classes)), recipe.model.name)
    give_start(copy.deepcopy(student), recipe, ann)


def describe_start(recipe: Recipe, ann: nn.Module | None, dataset: DataSet) -> dict[str, Any]:
    """What `result.json` says of the start: test accuracy after each step before the training, and of the run before.

    None where the weights were random.
    """
    if recipe.weights_from is None and not recipe.starts_from_teacher:
        return {"accuracy_per_step_at_start": None, "weights_from": None}
    student = build_student(recipe, dataset.shape, len(dataset.classes))
    give_start(student, recipe, ann)
    source = None
    if recipe.weights_from is not None:
        run = Run(recipe.weights_from)
        neuron = run.recipe.neuron.model_dump() if run.recipe.neuron else None
        measured = run.result()["student"]["accuracy_per_step"]
        source = {"run": str(run.path), "neuron": neuron, "accuracy_per_step": measured}
    return {"accuracy_per_step_at_start": evaluate(student, dataset.test).accuracy_per_step, "weights_from": source}


def _copy(student: nn.Module, teacher: nn.Module) -> None:
    """Give the student the teacher's weights and thresholds: SAKD's weight transfer, HSD's conversion (Alg. 1)."""
    network, weights = tapped(student), teacher.state_dict()
    ours = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    differing = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if differing:
        name = differing[0]
        raise NeurokdError(
            f"start: {len(differing)} tensors differ, first '{name}' (student {ours.get(name)}, "
            f"teacher {theirs.get(name)}); give both the same model"
        )
    network.load_state_dict(weights)


def _check_run(run: Run, dataset: DataSet, parts: Split) -> None:
    """Raise NeurokdError unless `run` is finished and never saw the images of our validation."""
    same = run.result()["data"]["fingerprint"]["train"] == dataset.train.fingerprint()
    if same and np.isin(parts.validation, run.load_split().train).any():
        raise NeurokdError(
            f"weights_from '{run.path}': was trained on images that this recipe validates with; keep data.split_seed "
            "and data.validation of that run"
        )
