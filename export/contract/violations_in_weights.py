"""What is wrong with the weights of one layer of a NIR graph, in a noun phrase each."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from neurokd.export.contract.layers import PASSED_OVER, Layer
from neurokd.export.contract.target import Target

Array = npt.NDArray[Any]

MAX_NEURONS = 1 << 24  # in one layer: 16 chips
MAX_WEIGHTS = 1 << 26  # once pooling is folded into them


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


def too_large(layer: Layer, target: Target) -> str | None:
    """A layer that no memory holds: a few bytes of a file can declare it."""
    if layer.shape is not None and math.prod(layer.shape) > MAX_NEURONS:
        return f"layer of {'x'.join(map(str, layer.shape))} values"
    if layer.role != "weights":
        return None
    before, area = layer.sources[0] if layer.sources else None, 1
    while before is not None and before.role in PASSED_OVER:
        area *= math.prod(before.pool.kernel) if before.pool else 1
        before = before.sources[0] if before.sources else None
    weights = area * np.size(layer.op.weight)
    return f"layer of {weights} weights, pooling folded into them," if area > 1 and weights > MAX_WEIGHTS else None


def misfit_of_neurons(layer: Layer, target: Target) -> str | None:
    """Parameters for another number of neurons; one value, or one for each channel with axes of 1, is for all."""
    shape = layer.input_shape
    if layer.role not in ("neurons", "integrator") or shape is None:
        return None
    allowed = ((), (1,), shape, (*shape[:1], *(1 for _ in shape[1:])))
    found = {key: np.shape(value) for key, value in vars(layer.op).items() if isinstance(value, np.ndarray)}
    wrong = [f"{key} of shape {got}" for key, got in found.items() if got not in allowed]
    return f"neurons with {' and '.join(wrong)} over an input of shape {shape}" if wrong else None


def filtered_bias(layer: Layer, target: Target) -> str | None:
    """A bias that passes a synaptic current, where the chip cannot put one."""
    if layer.role != "weights" or not np.any(layer.op.bias):
        return None
    filtering = [after.path for after in layer.driven if after.neurons is not None and after.neurons.synapse != 0.0]
    return f"bias before the synaptic current of '{filtering[0]}'" if filtering else None


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
