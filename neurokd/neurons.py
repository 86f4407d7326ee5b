"""The spiking neuron: parameters, one pure step, and two multi-step implementations.

Time comes first, `[T, B, ...]`; a spike is 0 or 1. One family covers the leaky neuron of TSER and SAKD
and the integrate-and-fire neuron with soft reset that HSD converts an ANN to.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from norse.torch.functional.reset import reset_subtract, reset_value
from norse.torch.functional.threshold import threshold as norse_threshold
from pydantic import BaseModel, ConfigDict, Field


class LIF(BaseModel):
    """Parameters of a leaky integrate-and-fire neuron.

    `h[t] = decay * v[t-1] + x[t]`, a spike where `h[t]` reaches the threshold, then the reset:

    - `reset="hard"` (TSER eq. 2 with mu = 2, SAKD eq. 1-3, Loihi 2): `s[t] = h[t] > threshold`,
      `v[t] = 0 where s[t]`. The comparison is strict, as on the chip.
    - `reset="soft"` (HSD eq. 3, 4, 6): `s[t] = h[t] >= threshold`, `v[t] = h[t] - s[t] * threshold`.
      A membrane at the threshold spikes, because the floor of QCFS counts it.

    `decay=1` is the integrate-and-fire neuron. `initial` is the membrane before the first step as a
    fraction of the threshold. The surrogate gradient of a spike is a triangle of area 1 that reaches
    `surrogate_width` (gamma) to both sides: `max(0, gamma - |h - threshold|) / gamma^2` (HSD eq. 12;
    SAKD eq. 4 is gamma = 1). `detach_reset` keeps the gradient from flowing through the reset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    decay: float = Field(default=0.5, ge=0.0, le=1.0)
    threshold: float = Field(default=1.0, gt=0.0)
    reset: Literal["hard", "soft"] = "hard"
    initial: float = Field(default=0.0, ge=0.0, lt=1.0)
    surrogate_width: float = Field(default=1.0, gt=0.0)
    detach_reset: bool = True
    implementation: Literal["fused", "reference"] = "fused"

    def hard(self) -> "LIF":
        """The neuron with a hard reset, a membrane that starts at 0 and a threshold lowered by what it started with.

        With `decay` 1 or `initial` 0 it spikes as this one, for every input, up to and with its first spike. What
        follows a spike differs; in a network of one step nothing follows.

        >>> LIF(decay=1.0, initial=0.5).hard().threshold
        0.5
        """
        if self.reset == "hard" and not self.initial:
            return self
        needed = torch.tensor(self.threshold * (1.0 - self.decay * self.initial))
        if self.reset == "soft":  # which spikes at its threshold, a hard one above it
            needed = torch.nextafter(needed, torch.tensor(0.0))
        return self.model_copy(update={"threshold": needed.item(), "reset": "hard", "initial": 0.0})


def lif_step(x: torch.Tensor, v: torch.Tensor, p: LIF) -> tuple[torch.Tensor, torch.Tensor]:
    """One step without gradients: input and membrane `[B, ...]` to (spikes, membrane after reset).

    >>> lif_step(torch.tensor([0.6, 1.0, 1.2]), torch.tensor([1.0, 0.0, 0.0]), LIF())
    (tensor([1., 0., 1.]), tensor([0., 1., 0.]))
    >>> lif_step(torch.tensor([0.75, 1.0]), torch.tensor([0.5, 0.0]), LIF(decay=1.0, reset="soft"))
    (tensor([1., 1.]), tensor([0.2500, 0.0000]))
    """
    h = p.decay * v + x
    s = ((h > p.threshold) if p.reset == "hard" else (h >= p.threshold)).to(x.dtype)
    return s, h - s * (h if p.reset == "hard" else p.threshold)


def lif(x: torch.Tensor, timesteps: int, p: LIF) -> torch.Tensor:
    """Spikes `[T, B, ...]` of LIF neurons driven by `x`.

    `x` is `[T, B, ...]`, or `[1, B, ...]` for a constant current that is integrated at all
    `timesteps` steps. Both implementations give the same spikes and the same gradients.
    Raises ValueError for any other number of steps.
    """
    if x.shape[0] not in (1, timesteps):
        raise ValueError(f"lif: input has {x.shape[0]} steps, allowed are 1 (constant) or {timesteps}")
    return _IMPLEMENTATIONS[p.implementation](x, timesteps, p)


def _reference(x: torch.Tensor, timesteps: int, p: LIF) -> torch.Tensor:
    """norse's threshold and reset under torch's own gradients.

    The line that charges the membrane is ours: norse's `lif_box` scales its input by 1 - decay,
    which nothing can undo at decay 1, and its IF neuron has no soft reset.
    """
    reset = reset_value if p.reset == "hard" else reset_subtract
    v_th, v_reset = x.new_tensor(p.threshold), x.new_tensor(0.0)
    bar = v_th if p.reset == "hard" else torch.nextafter(v_th, v_reset)  # norse compares with >, we want >=
    v = torch.full_like(x[0], p.initial * p.threshold)
    spikes = []
    for t in range(timesteps):
        h = p.decay * v + x[0 if x.shape[0] == 1 else t]
        s = norse_threshold((h - bar) / p.surrogate_width, "triangle", 1.0)
        v = reset(s.detach() if p.detach_reset else s, h, v_reset, v_th)
        spikes.append(s)
    return torch.stack(spikes)


class _FusedLIF(torch.autograd.Function):
    """All steps of a layer in one autograd node; only the membrane before the reset is kept."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, timesteps: int, p: LIF) -> torch.Tensor:
        kept = timesteps if ctx.needs_input_grad[0] else 1  # no history where nobody asks for gradients
        v = torch.full_like(x[0], p.initial * p.threshold)
        layout = (v.numel(), *v.stride())  # channels last stays channels last
        h = x.new_empty_strided((kept, *v.shape), layout)
        s = x.new_empty_strided((timesteps, *v.shape), layout)
        for t in range(timesteps):
            now = h[t % kept]
            torch.add(x[0 if x.shape[0] == 1 else t], v, alpha=p.decay, out=now)
            if p.reset == "hard":
                torch.gt(now, p.threshold, out=s[t])
                torch.addcmul(now, now, s[t], value=-1.0, out=v)
            else:
                torch.ge(now, p.threshold, out=s[t])
                torch.sub(now, s[t], alpha=p.threshold, out=v)
        ctx.save_for_backward(h)
        ctx.p, ctx.constant = p, x.shape[0] == 1
        return s

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (h,) = ctx.saved_tensors
        p: LIF = ctx.p
        gradient, last = gradients[0], len(h) - 1
        grad_x = torch.empty_like(h[:1] if ctx.constant else h)
        grad_v = torch.empty(0)  # of the membrane that step t leaves to the next; after the last step there is none
        for t in range(last, -1, -1):
            spike = gradient[t]
            if t < last and not p.detach_reset:
                lost = h[t] if p.reset == "hard" else p.threshold  # what the reset takes from the membrane
                spike = spike - grad_v * lost
            sums_up = ctx.constant and t < last
            grad_h = _triangle(h[t], p, torch.empty_like(h[t]) if sums_up else grad_x[t % len(grad_x)]).mul_(spike)
            if t < last:
                if p.reset == "hard":  # 0 and 1 as floats: a mask of bool would be converted in a pass of its own
                    grad_h.addcmul_(grad_v, torch.le(h[t], p.threshold, out=torch.empty_like(h[t])))
                else:
                    grad_h.add_(grad_v)
            if sums_up:
                grad_x[0] += grad_h
            if t > 0:
                grad_v = grad_h * p.decay
        return grad_x, None, None


def _triangle(h: torch.Tensor, p: LIF, out: torch.Tensor) -> torch.Tensor:
    """HSD eq. 12, written to `out`."""
    torch.sub(h, p.threshold, out=out)
    torch.sub(h.new_tensor(p.surrogate_width), out.abs_(), out=out).clamp_min_(0.0)
    return out if p.surrogate_width == 1.0 else out.div_(p.surrogate_width**2)


def _fused(x: torch.Tensor, timesteps: int, p: LIF) -> torch.Tensor:
    return _FusedLIF.apply(x, timesteps, p)  # type: ignore[no-any-return,no-untyped-call]


_IMPLEMENTATIONS: dict[str, Callable[[torch.Tensor, int, LIF], torch.Tensor]] = {
    "fused": _fused,
    "reference": _reference,
}
