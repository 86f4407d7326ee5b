"""How stored integers become a network's input: pixels in [0, 1], event counts as they are.

No mean, no deviation: the first BN learns what a normalisation would do, and zero padding stays exact after folding.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch

Integers = TypeVar("Integers", torch.Tensor, npt.NDArray[np.integer[Any]])


@dataclass(frozen=True)
class Encoding:
    """Integers 0..`maximum` are given to the chip; 1 stands for `unit` in the float network.

    They are the stored ones, without their last `shift` bits (`coarse`).
    """

    maximum: int
    unit: float
    shift: int = 0

    @property
    def kind(self) -> Literal["spikes", "graded"]:
        """How the chip reads them: 0 and 1 are spikes."""
        return "spikes" if self.maximum == 1 else "graded"

    @property
    def bits(self) -> int:
        """How many bits hold `maximum`."""
        return self.maximum.bit_length()

    def with_bits(self, bits: int) -> "Encoding":
        """The same stored integers, given to the chip with `bits` bits, of the `self.bits` that they have.

        >>> Encoding(255, 1 / 255).with_bits(7)
        Encoding(maximum=127, unit=0.00784313725490196, shift=1)
        """
        less = self.bits - bits
        return Encoding(self.maximum >> less, self.unit * (1 << less), self.shift + less)


PIXELS = Encoding(255, 1 / 255)
SPIKES = Encoding(1, 1.0)


def coarse(values: Integers, shift: int, maximum: int) -> Integers:
    """`values / 2^shift` rounded to the nearest integer, halves up, and at most `maximum`; integers of any width.

    >>> coarse(np.array([0, 1, 2, 3, 254, 255], np.uint8), shift=1, maximum=127).tolist()
    [0, 1, 1, 2, 127, 127]
    """
    if shift == 0:
        return values
    rounded = (values >> shift) + ((values >> (shift - 1)) & 1)  # adding half of 2^shift first would overflow bytes
    return rounded.clip(max=maximum)


def to_input(images: torch.Tensor) -> torch.Tensor:
    """Images `[B, C, H, W]` (uint8) to float32 in [0, 1]; frames of counts `[B, T, C, H, W]` to float32, time first.

    Frames become `[T, B, C, H, W]`. The result is laid out channels last (the faster layout).
    """
    if images.ndim == 4:
        return (images.float() * PIXELS.unit).contiguous(memory_format=torch.channels_last)
    time_first = images.transpose(0, 1)
    folded = time_first.flatten(0, 1).float().contiguous(memory_format=torch.channels_last)
    return folded.unflatten(0, time_first.shape[:2])  # type: ignore[no-any-return]
