"""QCFS: an activation with as many levels as a spiking neuron has steps, so that conversion loses nothing.

Source: Bu et al., "Optimal ANN-SNN Conversion for High-accuracy and Ultra-low-latency Spiking Neural
Networks", ICLR 2022 (arXiv 2303.04347); HSD eq. 5 and 8.
"""

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from neurokd.errors import NeurokdError


class QCFSConfig(BaseModel):
    """Number of levels L, and the value at which the trainable threshold s of every layer starts."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    levels: int = Field(default=16, ge=1)
    threshold: float = Field(default=8.0, gt=0.0)


class QCFS(nn.Module):
    """Quantisation-clip-floor-shift: `(s / L) * clip(floor(x * L / s + 1/2), 0, L)` (HSD eq. 5, 8).

    `threshold` is s, a trainable scalar. The gradient goes straight through the floor; with
    u = x L / s + 1/2 it reaches x where 0 <= u < L: dy/dx is 1 there, else 0; dy/ds is (y - x) / s
    there, 0 below and 1 above. Raises NeurokdError for `levels` < 1 or `threshold` <= 0.

    >>> QCFS(levels=4, threshold=2.0)(torch.tensor([-1.0, 0.2, 0.25, 1.0, 9.0])).tolist()
    [0.0, 0.0, 0.5, 1.0, 2.0]
    """

    def __init__(self, levels: int = 16, threshold: float = 8.0) -> None:
        super().__init__()
        if levels < 1 or not threshold > 0.0:
            raise NeurokdError(f"QCFS: levels {levels} and threshold {threshold}; allowed are 1 and more, and above 0")
        self.levels = levels
        self.threshold = nn.Parameter(torch.tensor(float(threshold)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape to the same shape, with values k s / L for k = 0..L."""
        return _QCFS.apply(x, self.threshold, self.levels)  # type: ignore[no-any-return,no-untyped-call]

    def extra_repr(self) -> str:
        """Parameters for `print(model)`."""
        return f"levels={self.levels}, threshold={self.threshold.item():g}"


class _QCFS(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, s: torch.Tensor, levels: int) -> torch.Tensor:
        ctx.save_for_backward(x, s)
        ctx.levels = levels
        return _level(x, s, levels).clamp_(0, levels).mul_(s / levels)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        x, s = ctx.saved_tensors
        level = _level(x, s, ctx.levels)
        inside = ((level >= 0) & (level < ctx.levels)).to(x.dtype)
        grad_x = gradients[0] * inside
        slope = level.clamp_(0, ctx.levels).div_(ctx.levels).sub_(inside.mul_(x).div_(s))
        return grad_x, (gradients[0] * slope).sum().to(s.dtype), None


def _level(x: torch.Tensor, s: torch.Tensor, levels: int) -> torch.Tensor:
    return (x * levels / s).add_(0.5).floor_()
