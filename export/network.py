"""The integer network: populations of Loihi 2 LIF neurons and the integer connections between them."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from neurokd.errors import NeurokdError
from neurokd.inputs import coarse

IntArray = npt.NDArray[np.integer[Any]]

MAX_DECAY = 4096  # a decay of 4096 forgets everything in one step, 0 forgets nothing
MAX_WEIGHT = 254  # even integers in [-254, 254]: 8 bits with mixed signs
MAX_BIAS = 4095  # 13 signed bits
MAX_INPUT = 255  # 8-bit graded input
MAX_THRESHOLD = 131071  # 17 bits
CURRENT_LIMIT = 1 << 17  # |synaptic sum| below this keeps u, which holds it << 6, inside 24 bits
FRACTION_BITS = 6  # current, bias and threshold enter u and v shifted left by this
MAX_STATE = (1 << 23) - 1  # v saturates here
MAX_GEOMETRY = 127  # Lava keeps kernel, stride, padding, dilation and groups of a convolution in signed bytes


@dataclass(frozen=True)
class InputSpec:
    """What is presented to the network at every step.

    `shape` is the shape that the network sees, `(C, H, W)` or `(N,)`.
    `kind` is "spikes" (non-zero counts as 1), "graded" (integers multiply the weights) or
    "bias" (the values are the bias of the first population, as in netx input layers).
    `constant`, if not 0, is the value of a constant plane that `encode` appends as the last
    channel: it carries biases that exceed 13 bits beside 8-bit pixels.
    `maximum` is the largest value of a graded input, for which the sums are proven.
    `shift` is how many of the last bits of an image `encode` rounds away: 1 makes pixels of 7 bits.
    """

    shape: tuple[int, ...]
    kind: Literal["spikes", "graded", "bias"] = "spikes"
    constant: int = 0
    maximum: int = MAX_INPUT
    shift: int = 0

    @property
    def stored_maximum(self) -> int:
        """The largest value of an image that `encode` takes."""
        return ((self.maximum + 1) << self.shift) - 1

    def encode(self, images: IntArray) -> IntArray:
        """Return what the network is given at every step, `[T, B, C, H, W]`, or `[1, B, C, H, W]` if it never changes.

        `images` are `[B, C, H, W]`, or frames `[B, T, C, H, W]`, as they are stored. Graded ones lose their last
        `shift` bits, and the constant plane is appended where there is one.
        Raises NeurokdError for a graded value above `stored_maximum`.
        """
        images = images[np.newaxis] if images.ndim == 1 + len(self.shape) else images.swapaxes(0, 1)
        if self.kind == "graded":
            if images.size and int(images.max()) > self.stored_maximum:
                raise NeurokdError(
                    f"inputs: the largest is {images.max()}, allowed is {self.stored_maximum}; count or scale less"
                )
            images = coarse(images, self.shift, self.maximum)
        if not self.constant:
            return images
        axis = images.ndim - len(self.shape)
        plane = np.full_like(np.take(images, [0], axis=axis), self.constant)
        return np.concatenate([images, plane], axis=axis)


@dataclass(frozen=True, eq=False)
class Population:
    """LIF neurons that share their decays and their reset.

    Every sample starts at `u[-1] = 0`, `v[-1] = initial`. With the synaptic sum `a[t]`
    (lava/proc/lif/models.py, fixed point)::

        u[t] = trunc(u[t-1] * (4096 - decay_u) / 4096) + (a[t] << 6)        # one wrap at 24 bits
        v[t] = clip(trunc(v[t-1] * (4096 - decay_v) / 4096) + u[t] + (bias << 6), +-(2^23 - 1))
        hard reset:  s[t] = v[t] > threshold << 6;   v[t] = 0 where s[t]
        soft reset:  s[t] = v[t] >= threshold << 6;  v[t] -= s[t] * (threshold << 6)

    The soft reset is that of networks converted from QCFS (Bu et al., ICLR 2022), which start at half
    the threshold, `initial = 32 * threshold`. No neuron of Lava has it, and none starts a sample elsewhere than at 0.

    `threshold` is 0-d or `[C]`; `bias` is None, `[C]` or of `shape`; `initial` is 0-d or `[C]`, a v as it is, not
    shifted: in 1/64 of the threshold's unit.
    """

    name: str
    shape: tuple[int, ...]
    threshold: IntArray
    decay_u: int = MAX_DECAY
    decay_v: int = MAX_DECAY // 2
    bias: IntArray | None = None
    reset: Literal["hard", "soft"] = "hard"
    initial: IntArray = field(default_factory=lambda: np.array(0))

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Connection:
    """Integer weights from `source` (a population or "input") to `target`.

    A convolution has `weight` `[O, I / groups, kH, kW]` and the `(H, W)` geometry of
    `torch.nn.functional.conv2d`; a dense connection has `weight` `[O, I]` over the source
    flattened in C, H, W order.
    """

    source: str
    target: str
    weight: IntArray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def kind(self) -> Literal["conv", "dense"]:
        """Convolution or dense, by the rank of the weight."""
        return "conv" if self.weight.ndim == 4 else "dense"

    def with_few_groups(self, most: int = MAX_GEOMETRY) -> "Connection":
        """The same sums from `most` groups or fewer: neighbouring groups become one, with zeros between them."""
        if self.groups <= most:
            return self
        sizes = range(-(-self.groups // most), self.groups + 1)
        joined = next(size for size in sizes if self.groups % size == 0)  # groups that become one
        outputs, inputs, *kernel = self.weight.shape
        apart = np.zeros((self.groups, outputs // self.groups, joined, inputs, *kernel), self.weight.dtype)
        each = np.arange(self.groups)
        apart[each, :, each % joined] = self.weight.reshape(self.groups, -1, inputs, *kernel)
        weight = apart.reshape(outputs, joined * inputs, *kernel)
        return replace(self, weight=weight, groups=self.groups // joined)


@dataclass(frozen=True, eq=False)
class LoihiNetwork:
    """A network as the chip runs it, in evaluation order.

    `readout` names the population whose membrane `v >> 6` after step t is the running sum of
    the logits, scaled: logits of step 0..t summed = `(v >> 6) * logit_scale`. It never spikes.
    None: the last population's spikes are the output.
    `metadata` is JSON: provenance, nothing that changes the computation.
    """

    input: InputSpec
    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    timesteps: int
    readout: str | None = None
    logit_scale: float = 1.0
    labels: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)

    def population(self, name: str) -> Population:
        """The population called `name`; KeyError if there is none."""
        for population in self.populations:
            if population.name == name:
                return population
        raise KeyError(name)

    def incoming(self, name: str) -> tuple[Connection, ...]:
        """The connections into the population `name`."""
        return tuple(c for c in self.connections if c.target == name)
