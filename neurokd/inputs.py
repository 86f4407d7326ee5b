"""How stored integers become a network's input: pixels in [0, 1], event counts as they are.

No mean, no deviation: the first BN learns what a normalisation would do, and zero padding stays exact after folding.
"""

from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True)
class Encoding:
    """Integers 0..`maximum` are stored, and given to the chip; 1 stands for `unit` in the float network."""

    maximum: int
    unit: float

    @property
    def kind(self) -> Literal["spikes", "graded"]:
        """How the chip reads them: 0 and 1 are spikes."""
        return "spikes" if self.maximum == 1 else "graded"


PIXELS = Encoding(255, 1 / 255)
SPIKES = Encoding(1, 1.0)


def to_input(images: torch.Tensor) -> torch.Tensor:
    """Images `[B, C, H, W]` (uint8) to float32 in [0, 1]; frames of counts `[B, T, C, H, W]` to float32, time first.

    Frames become `[T, B, C, H, W]`. The result is laid out channels last (the faster layout).
    """
    if images.ndim == 4:
        return (images.float() * PIXELS.unit).contiguous(memory_format=torch.channels_last)
    time_first = images.transpose(0, 1)
    folded = time_first.flatten(0, 1).float().contiguous(memory_format=torch.channels_last)
    return folded.unflatten(0, time_first.shape[:2])  # type: ignore[no-any-return]
