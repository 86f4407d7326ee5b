"""The leaky integrate-and-fire neuron: parameters, one pure step, and two multi-step implementations.

Time comes first, `[T, B, ...]`; a spike is 0 or 1; the comparison is strict (`>`), as on Loihi 2.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from norse.torch.functional.lif_box import LIFBoxFeedForwardState, LIFBoxParameters, lif_box_feed_forward_step
from norse.torch.functional.reset import reset_value
from pydantic import BaseModel, ConfigDict, Field


class LIF(BaseModel):
    """Parameters of the LIF neuron that TSER (eq. 2, mu = 2) and SAKD (eq. 1-3) train.

    `v[t] = decay * v[t-1] + x[t]`, `s[t] = v[t] > threshold`, `v[t] = 0 where s[t]`; surrogate
    gradient `ds/dv = max(0, 1 - |v - threshold|)` (SAKD eq. 4, HSD eq. 12 with gamma = 1).
    `detach_reset` keeps the gradient from flowing through the reset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decay: float = Field(default=0.5, ge=0.0, lt=1.0)
    threshold: float = Field(default=1.0, gt=0.0)
    detach_reset: bool = True
    implementation: Literal["fused", "reference"] = "fused"


def lif_step(x: torch.Tensor, v: torch.Tensor, p: LIF) -> tuple[torch.Tensor, torch.Tensor]:
    """One step without gradients: input and membrane `[B, ...]` to (spikes, membrane after reset).

    >>> lif_step(torch.tensor([0.6, 1.0, 1.2]), torch.tensor([1.0, 0.0, 0.0]), LIF())
    (tensor([1., 0., 1.]), tensor([0., 1., 0.]))
    """
    h = p.decay * v + x
    s = (h > p.threshold).to(x.dtype)
    return s, h - h * s


def lif(x: torch.Tensor, timesteps: int, p: LIF) -> torch.Tensor:
    """Spikes `[T, B, ...]` of LIF neurons driven by `x`.

    `x` is `[T, B, ...]`, or `[1, B, ...]` for a constant current that is integrated at all
    `timesteps` steps. Both implementations give the same spikes and the same gradients.
    """
    if x.shape[0] not in (1, timesteps):
        raise ValueError(f"lif: input has {x.shape[0]} steps, allowed are 1 (constant) or {timesteps}")
    return _IMPLEMENTATIONS[p.implementation](x, timesteps, p)


def _reference(x: torch.Tensor, timesteps: int, p: LIF) -> torch.Tensor:
    """norse's `lif_box` with dt * tau_mem_inv = 1 - decay; it scales its input by that factor."""
    reset = _detached_reset if p.detach_reset else reset_value
    box = LIFBoxParameters(
        tau_mem_inv=torch.as_tensor(1.0 - p.decay),
        v_leak=torch.as_tensor(0.0),
        v_th=torch.as_tensor(p.threshold),
        v_reset=torch.as_tensor(0.0),
        method="triangle",
        alpha=1.0,
        reset_method=reset,
    )
    state = LIFBoxFeedForwardState(v=torch.zeros_like(x[0]))
    spikes = []
    for t in range(timesteps):
        current = x[0 if x.shape[0] == 1 else t] / (1.0 - p.decay)
        s, state = lif_box_feed_forward_step(current, state, box, dt=1.0)
        spikes.append(s)
    return torch.stack(spikes)


def _detached_reset(z: torch.Tensor, v: torch.Tensor, reset: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    value: torch.Tensor = reset_value(z.detach(), v, reset, threshold)
    return value


class _FusedLIF(torch.autograd.Function):
    """All steps of a layer in one autograd node; only the membrane before the reset is kept."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, timesteps: int, p: LIF) -> torch.Tensor:
        h = x.new_empty_strided((timesteps, *x.shape[1:]), (x[0].numel(), *x.stride()[1:]))
        s = torch.empty_like(h)
        v = torch.zeros_like(h[0])
        for t in range(timesteps):
            torch.add(x[0 if x.shape[0] == 1 else t], v, alpha=p.decay, out=h[t])
            torch.gt(h[t], p.threshold, out=s[t])
            torch.addcmul(h[t], h[t], s[t], value=-1.0, out=v)
        ctx.save_for_backward(h)
        ctx.p, ctx.constant = p, x.shape[0] == 1
        return s

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (h,) = ctx.saved_tensors
        p: LIF = ctx.p
        gradient = gradients[0]
        grad_x = torch.zeros_like(h[:1]) if ctx.constant else torch.empty_like(h)
        grad_v = torch.zeros_like(h[0])
        for t in reversed(range(h.shape[0])):
            silent = h[t] <= p.threshold
            surrogate = (h[t] - p.threshold).abs_().neg_().add_(1.0).clamp_min_(0.0)
            spike = gradient[t] if p.detach_reset else gradient[t] - grad_v * h[t]
            grad_h = surrogate.mul_(spike).addcmul_(grad_v, silent)
            if ctx.constant:
                grad_x[0] += grad_h
            else:
                grad_x[t] = grad_h
            grad_v = grad_h.mul_(p.decay)
        return grad_x, None, None


def _fused(x: torch.Tensor, timesteps: int, p: LIF) -> torch.Tensor:
    return _FusedLIF.apply(x, timesteps, p)  # type: ignore[no-any-return,no-untyped-call]


_IMPLEMENTATIONS: dict[str, Callable[[torch.Tensor, int, LIF], torch.Tensor]] = {
    "fused": _fused,
    "reference": _reference,
}
