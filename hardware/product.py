"""Exact synaptic sums of integer inputs in floating point, which is where the fast kernels are."""

import logging

import numpy as np
import torch
import torch.nn.functional as F

from neurokd.errors import NeurokdError
from neurokd.export.network import FRACTION_BITS, Connection

FLOAT32_EXACT = 1 << 24  # float32 holds every integer up to this magnitude
FLOAT64_EXACT = 1 << 34  # << 6 and times a 13-bit decay factor this still fits float64's 53 bits
CONV_WRAP = 1 << 23  # Lava's convolution wraps its sum at 24 bits (lava/proc/conv/utils.py)

_log = logging.getLogger(__name__)


class Product:
    """`a << 6` of one connection for a batch: `[B, *source] -> [B, *target]`, integers held in floats.

    `bound` is a proven upper bound of `sum |w| * max |input|`. Partial sums stay below it in any
    order of summation, so float32 is exact below 2^24 and float64 below 2^34. The shift by six
    bits is a power of two and rides on the weights. `offset` `[O]` is added to the result exactly.
    """

    def __init__(
        self, connection: Connection, target_shape: tuple[int, ...], bound: int, offset: torch.Tensor | None = None
    ) -> None:
        if bound >= FLOAT64_EXACT:
            raise NeurokdError(
                f"connection '{connection.source}' -> '{connection.target}': the synaptic sum can reach {bound}; "
                f"allowed is less than {FLOAT64_EXACT}; scale weights or inputs down"
            )
        self._connection, self._target_shape = connection, target_shape
        self._wraps = connection.kind == "conv" and bound >= CONV_WRAP
        self.dtype = torch.float32 if bound < FLOAT32_EXACT else torch.float64
        self._weight = torch.from_numpy(connection.weight.astype(np.float64) * (1 << FRACTION_BITS))
        self._offset = None if offset is None else offset.double()
        self._fast = (self._weight.to(self.dtype), None if self._offset is None else self._offset.to(self.dtype))
        if connection.kind == "conv":
            self._fast = (self._fast[0].contiguous(memory_format=torch.channels_last), self._fast[1])
        self._checked = self.dtype == torch.float64

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """The product; float32 kernels are checked once against float64 on the first sample."""
        result = self._apply(inputs.to(self.dtype), *self._fast)
        if not self._checked:
            self._checked = True
            expected = self._apply(inputs[:1].double(), self._weight, self._offset)
            if not torch.equal(result[:1].double(), expected):
                _log.warning("float32 kernels of this machine round integers; continuing in float64, which is slower")
                self.dtype, self._fast = torch.float64, (self._weight, self._offset)
                result = self._apply(inputs.double(), *self._fast)
        return self._wrap(result) if self._wraps else result

    def _apply(self, inputs: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor | None) -> torch.Tensor:
        c = self._connection
        if c.kind == "conv":
            return F.conv2d(inputs, weight, offset, c.stride, c.padding, c.dilation, c.groups)
        return F.linear(inputs.flatten(1), weight, offset).view(-1, *self._target_shape)

    @staticmethod
    def _wrap(shifted: torch.Tensor) -> torch.Tensor:
        base = CONV_WRAP << FRACTION_BITS
        return torch.remainder(shifted + base, 2 * base) - base
