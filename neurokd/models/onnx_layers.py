"""One torch layer for each ONNX operator; https://onnx.ai/onnx/operators says what each computes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.models.onnx_file import named

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Operator:
    """A node with one tensor that flows into it, of shape `[1, ...]` for one image.

    `constants[k]` is the value of input k, None where it is absent or flows. `batch` is the number of images that the
    file is fixed to, or None.
    """

    node: onnx.NodeProto
    constants: tuple[Array | None, ...]
    shape: tuple[int, ...]
    batch: int | None

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute as Python has it; the standard's `default` where it is absent."""
        found = [a for a in self.node.attribute if a.name == name]
        value = onnx.helper.get_attribute_value(found[0]) if found else default
        return value.decode() if isinstance(value, bytes) else value

    def constant(self, index: int) -> Array | None:
        """The constant at input `index`; None where there is none."""
        return self.constants[index] if index < len(self.constants) else None

    def weights(self, index: int) -> torch.Tensor:
        """The float32 constant at input `index`, in memory of its own; NeurokdError where it is anything else."""
        value = self.constant(index)
        if value is None or value.dtype != np.float32:
            found = "no constant" if value is None else str(value.dtype)
            raise self.refusal(f"input {index} is {found}", "float32 weights")
        if not np.isfinite(value).all():
            raise self.refusal(f"input {index} holds NaN or infinity", "finite weights")
        return torch.from_numpy(value.copy())

    def has(self, index: int) -> bool:
        """Whether the node has an input `index`."""
        return index < len(self.node.input) and bool(self.node.input[index])

    def refusal(self, found: str, allowed: str) -> NeurokdError:
        """An error that names the node."""
        return NeurokdError(f"{named(self.node)}: {found}; allowed is {allowed}")


def _conv(op: Operator) -> nn.Module:
    state = {"weight": op.weights(1)} | ({"bias": op.weights(2)} if op.has(2) else {})
    outputs, inputs, *kernel = state["weight"].shape
    if len(kernel) != 2:
        raise op.refusal(f"its kernel has {len(kernel)} dimensions", "2, of images")
    groups, padding = op.attribute("group", 1), _padding(op)
    stride, dilation = _pair(op, "strides"), _pair(op, "dilations")
    with torch.device("meta"):
        layer = nn.Conv2d(
            inputs * groups, outputs, kernel, stride, padding, dilation, groups, bias="bias" in state  # type: ignore[arg-type]
        )  # fmt: skip
    return _filled(layer, state)


def _gemm(op: Operator) -> nn.Module:
    scales = {name: op.attribute(name, 1.0) for name in ("alpha", "beta")}
    if set(scales.values()) != {1.0} or op.attribute("transA", 0):
        raise op.refusal(f"alpha and beta are {scales}, transA {op.attribute('transA', 0)}", "1, 1 and 0")
    weight = op.weights(1)
    return _linear(op, weight if op.attribute("transB", 0) else weight.T, op.weights(2) if op.has(2) else None)


def _matmul(op: Operator) -> nn.Module:
    return _linear(op, op.weights(1).T, None)


def _linear(op: Operator, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    """A linear layer of `weight` `[out, in]`."""
    if weight.ndim != 2 or len(op.shape) != 2:
        raise op.refusal(f"weights {list(weight.shape)} for an input {list(op.shape)}", "a matrix for vectors")
    state = {"weight": weight.contiguous()} | ({} if bias is None else {"bias": bias.flatten()})
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _filled(layer, state)


def _batch_norm(op: Operator) -> nn.Module:
    if op.attribute("training_mode", 0):
        raise op.refusal("training_mode is 1", "0, a network exported for evaluation")
    names = ("weight", "bias", "running_mean", "running_var")
    state = {name: op.weights(index) for index, name in enumerate(names, start=1)}
    kind = nn.BatchNorm2d if len(op.shape) == 4 else nn.BatchNorm1d
    with torch.device("meta"):
        layer = kind(len(state["weight"]), eps=op.attribute("epsilon", 1e-5))
    return _filled(layer, {**state, "num_batches_tracked": torch.tensor(0)})


def _average_pool(op: Operator) -> nn.Module:
    _undilated(op)
    return nn.AvgPool2d(
        _pair(op, "kernel_shape"), _pair(op, "strides"), _padding(op),
        ceil_mode=bool(op.attribute("ceil_mode", 0)), count_include_pad=bool(op.attribute("count_include_pad", 0)),
    )  # fmt: skip


def _max_pool(op: Operator) -> nn.Module:
    _undilated(op)
    return nn.MaxPool2d(
        _pair(op, "kernel_shape"), _pair(op, "strides"), _padding(op), ceil_mode=bool(op.attribute("ceil_mode", 0))
    )


def _global_average_pool(op: Operator) -> nn.Module:
    return nn.AdaptiveAvgPool2d(1)


def _mean(op: Operator) -> nn.Module:
    """The mean over height and width, as torch exports a global average pool."""
    given = op.constant(1)
    axes = op.attribute("axes", []) if given is None else given.tolist()
    if len(op.shape) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
        raise op.refusal(f"means over axes {axes} of {list(op.shape)}", "height and width, [2, 3]")
    pool = nn.AdaptiveAvgPool2d(1)
    return pool if op.attribute("keepdims", 1) else nn.Sequential(pool, nn.Flatten())


def _flatten(op: Operator) -> nn.Module:
    axis = op.attribute("axis", 1)
    if axis != 1:
        raise op.refusal(f"axis is {axis}", "1, everything but the batch")
    return nn.Flatten()


def _reshape(op: Operator) -> nn.Module:
    target = op.constant(1)
    wanted = None if target is None else target.tolist()
    features = math.prod(op.shape[1:])
    if wanted is None or len(wanted) != 2 or wanted[0] not in (-1, 0, op.batch) or wanted[1] not in (-1, features):
        raise op.refusal(f"reshapes {list(op.shape)} to {wanted}", f"[-1, {features}], everything but the batch")
    return nn.Flatten()


def _relu(op: Operator) -> nn.Module:
    return nn.ReLU()


LAYERS: dict[str, tuple[str, Callable[[Operator], nn.Module]]] = {  # the name of the layer, and what makes it
    "Conv": ("conv", _conv),
    "Gemm": ("linear", _gemm),
    "MatMul": ("linear", _matmul),
    "BatchNormalization": ("norm", _batch_norm),
    "Relu": ("relu", _relu),
    "AveragePool": ("pool", _average_pool),
    "MaxPool": ("pool", _max_pool),
    "GlobalAveragePool": ("pool", _global_average_pool),
    "ReduceMean": ("pool", _mean),
    "Flatten": ("flatten", _flatten),
    "Reshape": ("flatten", _reshape),
}


def _filled(layer: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    """`layer` with the weights of the file instead of none."""
    layer.load_state_dict(state, assign=True)
    return layer


def _pair(op: Operator, name: str) -> tuple[int, int]:
    """Two numbers, of height and width."""
    values = op.attribute(name, [1, 1])
    if len(values) != 2 or min(values) < 1:
        raise op.refusal(f"{name} are {values}", "two numbers from 1 on, of height and width")
    return values[0], values[1]


def _padding(op: Operator) -> tuple[int, int]:
    """Zeros at the top and at the left, which are as many as at the bottom and at the right."""
    auto, pads = op.attribute("auto_pad", "NOTSET"), op.attribute("pads", [0, 0, 0, 0])
    if auto not in ("NOTSET", "VALID") or len(pads) != 4 or pads[:2] != pads[2:] or min(pads) < 0:
        raise op.refusal(f"pads are {pads} with auto_pad {auto}", "the same on opposite sides, with auto_pad NOTSET")
    return (0, 0) if auto == "VALID" else (pads[0], pads[1])


def _undilated(op: Operator) -> None:
    dilations = op.attribute("dilations", [1, 1])
    if dilations != [1, 1] or op.attribute("storage_order", 0):
        raise op.refusal(f"dilations are {dilations}", "[1, 1]")
