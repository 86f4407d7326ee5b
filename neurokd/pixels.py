"""How stored pixels become a network's input: [0, 1], no mean, no deviation.

The first BN learns what a normalisation would do, and zero padding stays exact after folding.
"""

import torch

PIXEL_SCALE = 255.0


def to_input(images: torch.Tensor) -> torch.Tensor:
    """uint8 `[B, C, H, W]` to float32 in [0, 1], laid out channels last (the faster layout)."""
    return (images.float() / PIXEL_SCALE).contiguous(memory_format=torch.channels_last)
