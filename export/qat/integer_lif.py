"""The chip's neuron with gradients: forward the integers of `Population`, backward a surrogate."""

from typing import Any

import torch

from neurokd.export.network import FRACTION_BITS, MAX_DECAY, MAX_STATE, Population
from neurokd.hardware.lif import channelwise


def integer_lif(
    current: torch.Tensor, bias: torch.Tensor, population: Population, timesteps: int, width: float
) -> torch.Tensor:
    """Spikes `[T, B, *shape]` of `population`, equal to the simulator's.

    `current` are the synaptic sums `a`, integers `[T or 1, B, *shape]` that are proven to keep u inside 24 bits;
    `bias` are integers that broadcast to `[B, *shape]`. `width` is the reach of the triangular surrogate gradient
    relative to the threshold (`LIF.surrogate_width`). No gradient flows through the reset, and truncation is passed
    straight through.
    """
    dtype = torch.float32 if _shifts_only(population) else torch.float64
    drive, offset = current.to(dtype) * (1 << FRACTION_BITS), bias.to(dtype) * (1 << FRACTION_BITS)
    threshold = channelwise(population.threshold, population.shape, dtype)
    soft = population.reset == "soft"
    v = channelwise(population.initial, population.shape, dtype, shift=0).expand_as(drive[0])
    u: torch.Tensor | None = None
    spikes = []
    for t in range(timesteps):
        arriving = drive[t if len(drive) > 1 else 0]
        u = arriving if u is None or population.decay_u == MAX_DECAY else _Decay.apply(u, population.decay_u) + arriving  # type: ignore[no-untyped-call]
        h = _Decay.apply(v, population.decay_v) + u + offset  # type: ignore[no-untyped-call]
        h = h.clamp(-MAX_STATE, MAX_STATE)
        s = _Spike.apply(h, threshold, soft, width)  # type: ignore[no-untyped-call]
        v = h - s.detach() * (threshold if soft else h)
        spikes.append(s)
    return torch.stack(spikes).to(current.dtype)


def _shifts_only(population: Population) -> bool:
    """Whether float32 holds every value: decays that are a power of two lose only bits that truncation drops."""
    factors = (MAX_DECAY - population.decay_u, MAX_DECAY - population.decay_v)
    return all(factor & (factor - 1) == 0 for factor in factors)


class _Decay(torch.autograd.Function):
    """`trunc(state * (4096 - decay) / 4096)`."""

    @staticmethod
    def forward(ctx: Any, state: torch.Tensor, decay: int) -> torch.Tensor:
        kept = (MAX_DECAY - decay) / MAX_DECAY  # 12 bits or fewer: the product is exact
        ctx.kept = kept
        return (state * kept).trunc_()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        passed: torch.Tensor = gradients[0] * ctx.kept
        return passed, None


class _Spike(torch.autograd.Function):
    """0 or 1; its surrogate gradient is a triangle of area 1 around the threshold (HSD eq. 12), in units of it."""

    @staticmethod
    def forward(ctx: Any, h: torch.Tensor, threshold: torch.Tensor, soft: bool, width: float) -> torch.Tensor:
        ctx.save_for_backward(h, threshold)
        ctx.width = width
        return (h >= threshold if soft else h > threshold).to(h.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        h, threshold = ctx.saved_tensors
        distance = (h / threshold - 1.0).abs()
        slope = (ctx.width - distance).clamp_min(0.0) / (ctx.width**2 * threshold)
        return gradients[0] * slope, None, None, None
