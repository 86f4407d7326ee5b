"""The untrained network of a recipe: a model, its activations swapped as the recipe says."""

import lightning as L
import torch
from torch import nn

from neurokd.conversion import convert, to_qcfs
from neurokd.models import build_model
from neurokd.recipe import Recipe
from neurokd.spiking import to_spiking


def build_ann(recipe: Recipe, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The untrained ANN of a recipe, before any activation is swapped."""
    return build_model(recipe.model.name, shape, classes, **recipe.model.options())


def build_student(recipe: Recipe, dataset_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The untrained network of a recipe: spiking, or the ANN for `neuron: null`, over ReLU or QCFS."""
    L.seed_everything(recipe.seed, verbose=False)
    ann = build_ann(recipe, dataset_shape, classes)
    return _with_activations(ann, recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _with_activations(ann: nn.Module, recipe: Recipe) -> nn.Module:
    """The activation swap that the recipe asks for."""
    if recipe.neuron is None:
        return to_qcfs(ann, recipe.qcfs.levels, recipe.qcfs.threshold) if recipe.qcfs else ann
    if recipe.start == "converted" and recipe.teacher and recipe.teacher.qcfs:
        qcfs = recipe.teacher.qcfs
        return convert(to_qcfs(ann, qcfs.levels, qcfs.threshold), recipe.timesteps, recipe.neuron)
    return to_spiking(ann, recipe.neuron, recipe.timesteps)
