"""The LIF neuron of Loihi 2 as Lava's CPU model computes it, over all steps of a batch at once."""

from dataclasses import dataclass

import numpy as np
import torch

from neurokd.errors import NeurokdError
from neurokd.export.network import FRACTION_BITS, MAX_DECAY, IntArray, Population

STATE_LIMIT = 1 << 23  # u wraps and v saturates here
FLOAT32_EXACT_SUM = 1 << (24 + FRACTION_BITS)  # float32 holds every multiple of 64 up to here
FLOAT64_STATE_EXACT = 1 << 40  # times a 13-bit decay factor this still fits float64's 53 bits


@dataclass(frozen=True)
class StateBounds:
    """What is proven about one population before it runs, so that needless work can be left out.

    `drive` bounds |a << 6|; `bias` bounds |bias << 6|; `steps` is the number of steps.
    """

    population: Population
    drive: int
    bias: int
    steps: int

    def _gain(self, decay: int) -> float:
        return self.steps if decay == 0 else min(self.steps, MAX_DECAY / decay)

    @property
    def u(self) -> float:
        """Bound of |u|: a geometric series of the drive; truncation toward zero only lowers it."""
        return self.drive * self._gain(self.population.decay_u)

    @property
    def wraps(self) -> bool:
        """Whether u can leave (-2^23, 2^23)."""
        return self.u >= STATE_LIMIT

    @property
    def saturates(self) -> bool:
        """Whether v can leave (-2^23, 2^23): decay and either reset only bring it closer to 0."""
        initial = int(np.abs(np.asarray(self.population.initial, dtype=np.int64)).max())
        return initial + (self.u + self.bias) * self._gain(self.population.decay_v) >= STATE_LIMIT

    @property
    def dtype(self) -> torch.dtype:
        """Float32 where it is proven to hold every intermediate integer, else float64.

        It needs decays that only shift bits; a u below 2^23, or one without memory, which is a
        multiple of 64; and a bias below 2^22: then `v + u + bias` is exact below 2^24, and a larger
        one is clipped whatever its rounding.
        """
        factors = (MAX_DECAY - self.population.decay_u, MAX_DECAY - self.population.decay_v)
        shifts_only = all(factor & (factor - 1) == 0 for factor in factors)
        u_exact = not self.wraps or (self.population.decay_u == MAX_DECAY and self.drive < FLOAT32_EXACT_SUM)
        threshold = int(np.abs(self.population.threshold).max()) << FRACTION_BITS
        small = self.bias < STATE_LIMIT // 2 and threshold <= 2 * STATE_LIMIT
        return torch.float32 if shifts_only and u_exact and small else torch.float64


@dataclass(frozen=True)
class LifResult:
    """Spikes `[T, B, *shape]` (0 or 1 as floats), the number of clipped v, and u and v where asked for."""

    spikes: torch.Tensor
    saturated: int
    u: torch.Tensor | None = None
    v: torch.Tensor | None = None


def channelwise(
    values: IntArray, shape: tuple[int, ...], dtype: torch.dtype, *, shift: int = FRACTION_BITS
) -> torch.Tensor:
    """`values << shift`, which are 0-d, `[C]` or `shape`, broadcastable to `[B, *shape]`."""
    array = np.asarray(values, dtype=np.float64) * (1 << shift)
    if array.ndim == 1:
        array = array.reshape(-1, *[1] * (len(shape) - 1))
    return torch.tensor(array, dtype=dtype)


def run_lif(
    bounds: StateBounds,
    drive: torch.Tensor | None,
    bias: torch.Tensor | None,
    *,
    keep_u: bool = False,
    keep_v: bool = False,
) -> LifResult:
    """Run one population from its initial state over all steps (`Population` has the equations).

    `drive` is `a << 6`, `bias` the voltage bias `<< 6`, both `[T or 1, B or 1, *shape]`, where a
    leading 1 means the same value at every step. `keep_u` and `keep_v` ask for u and v after every step.
    """
    population, dtype, steps = bounds.population, bounds.dtype, bounds.steps
    drive = None if drive is None else drive.to(dtype)
    bias = None if bias is None else bias.to(dtype)
    like = drive if drive is not None else bias
    if like is None:
        raise ValueError(f"population '{population.name}': neither drive nor bias")
    if bounds.u >= FLOAT64_STATE_EXACT:
        raise NeurokdError(
            f"population '{population.name}': the current u can reach {bounds.u:.3g}; allowed is less than "
            f"{FLOAT64_STATE_EXACT}; scale its weights down or raise decay_u"
        )
    threshold = channelwise(population.threshold, population.shape, dtype)
    v = torch.zeros_like(like[0]).add_(channelwise(population.initial, population.shape, dtype, shift=0))
    fires, soft = (torch.ge, True) if population.reset == "soft" else (torch.gt, False)
    u = torch.zeros_like(v) if population.decay_u < MAX_DECAY else None
    spikes = _empty_spikes(steps, v)
    saturated, us, vs = 0, [], []
    for t in range(steps):
        current = _at(drive, t)
        if u is not None and current is not None:
            current = u = _decay(u, population.decay_u).add_(current)
        if bounds.wraps and current is not None:
            current = _wrap_once(current)
            u = None if u is None else current
        v = _decay(v, population.decay_v)
        for term in (current, _at(bias, t)):
            if term is not None:
                v.add_(term)
        saturated += _clip(v) if bounds.saturates else 0
        fired = fires(v, threshold, out=spikes[t])  # into floats and without masks: twice as fast
        v.addcmul_(threshold if soft else v, fired, value=-1)
        if keep_u:
            us.append(torch.zeros_like(v) if current is None else current.clone())
        if keep_v:
            vs.append(v.clone())
    return LifResult(spikes, saturated, torch.stack(us) if keep_u else None, torch.stack(vs) if keep_v else None)


def _empty_spikes(steps: int, like: torch.Tensor) -> torch.Tensor:
    """Uninitialised `[T, *like.shape]`; images lie channels last, as the fast convolutions want them."""
    if like.dim() != 4:
        return torch.empty((steps, *like.shape), dtype=torch.float32)
    batch, channels, height, width = like.shape
    return torch.empty((steps, batch, height, width, channels), dtype=torch.float32).permute(0, 1, 4, 2, 3)


def _at(values: torch.Tensor | None, step: int) -> torch.Tensor | None:
    return None if values is None else values[step if values.shape[0] > 1 else 0]


def _decay(state: torch.Tensor, decay: int) -> torch.Tensor:
    """`trunc(state * (4096 - decay) / 4096)` in place, exactly; a power of two is one division."""
    factor = MAX_DECAY - decay
    if factor in (0, MAX_DECAY):
        return state if factor else state.zero_()
    if MAX_DECAY % factor:
        state.mul_(factor)
        factor = 1
    return state.div_(MAX_DECAY // factor, rounding_mode="trunc")


def _wrap_once(u: torch.Tensor) -> torch.Tensor:
    low, high = u.aminmax()
    if low > -STATE_LIMIT and high <= STATE_LIMIT:
        return u
    u = torch.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, u)
    return torch.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, u)


def _clip(v: torch.Tensor) -> int:
    """Clip v in place to +-(2^23 - 1) and return how many values were clipped."""
    low, high = v.aminmax()
    if low > -STATE_LIMIT and high < STATE_LIMIT:
        return 0
    count = int((v.abs() >= STATE_LIMIT).sum())
    v.clamp_(1 - STATE_LIMIT, STATE_LIMIT - 1)
    return count
