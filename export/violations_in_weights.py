"""What is wrong with the weights of one layer of a NIR graph, in a noun phrase each."""

from typing import Any

import numpy as np
import numpy.typing as npt

from neurokd.export.layers import Layer
from neurokd.export.target import Target

Array = npt.NDArray[Any]


def misfit(layer: Layer, target: Target) -> str | None:
    """Weights or a bias that do not fit the layer before."""
    shape = layer.input_shape
    if layer.role != "weights" or shape is None:
        return None
    weight, bias = np.asarray(layer.op.weight), np.asarray(layer.op.bias)
    groups = int(getattr(layer.op, "groups", 1))
    if weight.ndim != (4 if layer.kind == "Conv2d" else 2) or min(weight.shape) < 1 or groups < 1:
        return f"weight of shape {weight.shape}"
    if weight.shape[1] * groups != shape[0] or len(weight) % groups:
        return f"weight of shape {weight.shape} in {groups} groups over an input of shape {shape}"
    if bias.shape != weight.shape[:1]:
        return f"bias of shape {bias.shape} beside a weight of shape {weight.shape}"
    return None if layer.shape is None or min(layer.shape) > 0 else f"output of shape {layer.shape}"


def not_finite(layer: Layer, target: Target) -> str | None:
    """NaN or infinity."""
    wrong = sum(int(np.count_nonzero(~np.isfinite(values))) for values in _arrays(layer))
    return f"{wrong} weights or biases that are NaN or infinite" if wrong else None


def all_zero(layer: Layer, target: Target) -> str | None:
    """A layer through which nothing ever passes."""
    return "layer whose weights are all zero" if _arrays(layer) and not _arrays(layer)[0].any() else None


def dead_outputs(layer: Layer, target: Target) -> str | None:
    """Outputs that do not depend on any input."""
    if not _arrays(layer):
        return None
    weight = _arrays(layer)[0]
    dead = int((~weight.reshape(len(weight), -1).any(axis=1)).sum())
    return f"{dead} of {len(weight)} outputs have no weight but zero" if 0 < dead < len(weight) else None


def _arrays(layer: Layer) -> list[Array]:
    """Weight and bias of a layer that has them."""
    return [np.asarray(layer.op.weight), np.asarray(layer.op.bias)] if layer.role == "weights" else []
