"""Biases beyond 13 bits, carried by a constant input plane.

Beside 8-bit pixels a threshold is tens of thousands, and a bias of the same order does not fit the
chip's 13 bits. So the input gets one more channel that is `CONSTANT` everywhere; one of its taps
carries the coarse part of the bias as an ordinary 8-bit weight, `bias_mant` carries the exact rest.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.network import MAX_WEIGHT, Connection, IntArray

CONSTANT = 255


def split_bias(bias: IntArray) -> tuple[IntArray, IntArray]:
    """Split `bias` `[C]` into even weights and a rest: `CONSTANT * weight + rest == bias`.

    >>> split_bias(np.array([40000, -3, 1020]))
    (array([156,   0,   4]), array([220,  -3,   0]))
    """
    coarse = np.clip(2 * np.round(bias / (2 * CONSTANT)), -MAX_WEIGHT, MAX_WEIGHT).astype(np.int64)
    return coarse, bias - CONSTANT * coarse


def widen(name: str, weight: IntArray, coarse: IntArray, size: tuple[int, ...], geometry: dict[str, Any]) -> IntArray:
    """Append the constant channel to a weight `[O, I, kH, kW]` or `[O, I * H * W]` over an image of `size` (H, W).

    In a convolution the coarse weights `[O]` sit on a tap that never reads padding, so that every
    output sees the constant; in a dense layer they sit on the plane's first pixel. Where all are 0, the
    weights just pass the plane by.
    """
    if weight.ndim == 2:
        flat = np.zeros((len(weight), math.prod(size)), weight.dtype)
        flat[:, 0] = coarse
        return np.concatenate([weight, flat], axis=1)
    plane = np.zeros((weight.shape[0], 1, *weight.shape[2:]), weight.dtype)
    if not coarse.any():
        return np.concatenate([weight, plane], axis=1)
    tap = []
    for axis, (extent, kernel) in enumerate(zip(size, weight.shape[2:], strict=True)):
        stride, padding, dilation = (geometry[key][axis] for key in ("stride", "padding", "dilation"))
        outputs = (extent + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        index = -(-padding // dilation)  # the first tap that does not reach before the map
        if index >= kernel or (outputs - 1) * stride - padding + index * dilation >= extent:
            raise NeurokdError(
                f"layer '{name}': padding {padding} is too wide for a kernel of {kernel} to carry a bias"
            )
        tap.append(index)
    plane[:, 0, tap[0], tap[1]] = coarse
    return np.concatenate([weight, plane], axis=1)


def pass_by(connection: Connection, size: tuple[int, ...]) -> Connection:
    """The same weights over an input that has the constant plane, for a layer whose bias needs none.

    `size` is (H, W) of the input. A grouped convolution becomes one over all channels, with zeros between groups.
    """
    weight, groups = connection.weight, connection.groups
    if groups > 1:
        outputs, inputs = len(weight) // groups, weight.shape[1]
        whole = np.zeros((len(weight), groups * inputs, *weight.shape[2:]), weight.dtype)
        for group in range(groups):
            rows = slice(group * outputs, (group + 1) * outputs)
            whole[rows, group * inputs : (group + 1) * inputs] = weight[rows]
        weight = whole
    blank = np.zeros(len(weight), np.int64)
    return replace(connection, weight=widen(connection.target, weight, blank, size, {}), groups=1)
