"""Multiply-accumulates of an ANN, counted as NeuroBench counts its dense synaptic operations."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from neurokd.errors import NeurokdError


def count_macs(model: nn.Module, input_shape: Sequence[int]) -> int:
    """Return the multiply-accumulates of one forward pass of one image of `input_shape`, `(C, H, W)`.

    NeuroBench's dense definition: convolutions and linear layers only, without biases, every weight that meets an
    input position once; taps that lie on zero padding are not counted, so the figure is a little lower than
    `output positions x weights`. A layer used twice counts twice. `model` is left as it was.
    Raises NeurokdError when the model cannot take such an image.

    >>> count_macs(nn.Conv2d(1, 1, 3, padding=1), (1, 2, 2))
    16
    """
    total = 0

    def add(layer: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        nonlocal total
        total += _layer_macs(layer, inputs[0], output)

    was_training = {module: module.training for module in model.modules()}
    handles: list[RemovableHandle] = [
        module.register_forward_hook(add)
        for module in model.modules()
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear))
    ]
    like = next(model.parameters(), torch.zeros(()))
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(1, *input_shape, device=like.device, dtype=like.dtype))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NeurokdError(
            f"model {type(model).__name__}: cannot take one image of shape {tuple(input_shape)} ({reason}); "
            "build it for the shape of the data"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
        for module, training in was_training.items():
            module.training = training
    return total


def _layer_macs(layer: nn.Module, inputs: torch.Tensor, output: torch.Tensor) -> int:
    if isinstance(layer, nn.Linear):
        return layer.in_features * output.numel()
    if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        pairs = math.prod(_taps(layer, axis, inputs, output) for axis in range(len(layer.kernel_size)))
        return len(inputs) * pairs * layer.out_channels * (layer.in_channels // layer.groups)
    return 0


def _taps(layer: "nn.Conv1d | nn.Conv2d | nn.Conv3d", axis: int, inputs: torch.Tensor, output: torch.Tensor) -> int:
    """Return how many pairs (output position, kernel tap) along one axis lie on an input position."""
    kernel, stride, dilation = layer.kernel_size[axis], layer.stride[axis], layer.dilation[axis]
    size, outputs = inputs.shape[2 + axis], output.shape[2 + axis]
    if layer.padding_mode != "zeros":
        return outputs * kernel
    if isinstance(layer.padding, str):
        before = dilation * (kernel - 1) // 2 if layer.padding == "same" else 0
    else:
        before = int(layer.padding[axis])
    return sum(
        0 <= position * stride + tap * dilation - before < size for position in range(outputs) for tap in range(kernel)
    )
