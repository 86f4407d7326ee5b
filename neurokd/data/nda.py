"""Neuromorphic data augmentation (NDA, Li et al., ECCV 2022, arXiv 2203.06145) of a whole batch of recordings."""

import torch

from neurokd.data.augment import square

OPERATIONS = ("roll", "rotation", "cutout", "shear")
ROLL = 5 / 48  # of each side, in both directions
ROTATION = 30.0  # degrees in both directions
SHEAR = 30.0  # degrees in both directions
CUTOUT = 8 / 48  # of the shorter side, the largest square
NUMBERS = 9  # random numbers that a recording takes


def nda(frames: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Return `frames` (`[B, T, C, H, W]`, uint8) mirrored with probability 1/2, then each varied by one operation.

    `uniform` is `[9, B]` in [0, 1): what happens to a recording follows from its column alone and is the same for all
    of its frames. The operation is, with equal probability, a circular roll by up to 5/48 of each side, a rotation
    about the centre by up to 30 degrees, a square of up to 8/48 of the side set to 0, or a shear along x by up to 30
    degrees. Rotation and shear take the nearest pixel, so that counts stay counts, and 0 from outside.

    The operations are the paper's. Roll, rotation and shear are as large as in its public code for CIFAR10-DVS
    (48x48), which leaves cutout out: the size of the square, and sizes as shares of the side, are ours.

    >>> nda(torch.ones(2, 10, 2, 48, 48, dtype=torch.uint8), torch.rand(NUMBERS, 2)).shape
    torch.Size([2, 10, 2, 48, 48])
    """
    height, width = frames.shape[-2:]
    source, filled = _sources(height, width, uniform)
    pixels = frames.flatten(3).flatten(1, 2)
    moved = pixels.gather(2, source.flatten(1)[:, None].expand_as(pixels)) * filled.flatten(1)[:, None]
    return moved.view(frames.shape)


def _sources(height: int, width: int, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For each pixel of B recordings, the pixel `y * W + x` that comes there, and whether any does: `[B, H, W]`."""
    chosen, mirror, down, right, angle, slope, centre_y, centre_x, side = uniform
    rolled, rotated, cut, sheared = ((chosen * len(OPERATIONS)).long() == k for k in range(len(OPERATIONS)))
    y, x = _turned(
        height,
        width,
        angle=rotated * torch.deg2rad((2 * angle - 1) * ROTATION),
        slope=sheared * torch.deg2rad((2 * slope - 1) * SHEAR).tan(),
    )
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    y = (y - _over_pixels(rolled * _offset(down, round(ROLL * height)))) % height
    x = (x - _over_pixels(rolled * _offset(right, round(ROLL * width)))) % width
    x = torch.where(_over_pixels(mirror < 0.5), width - 1 - x, x)
    largest = max(1, round(CUTOUT * min(height, width)))
    centre = torch.stack(((centre_y * height).long(), (centre_x * width).long()))
    hole = square((height, width), 1 + (side * largest).long()[:, None], centre)
    return y * width + x, inside & ~(hole & _over_pixels(cut))


def _turned(height: int, width: int, angle: torch.Tensor, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and column (`[B, H, W]`, int64) of what a rotation by `angle` or a shear by `slope` brings to each pixel."""
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    y = (torch.arange(height, device=angle.device) - middle_y)[:, None]
    x = torch.arange(width, device=angle.device) - middle_x
    cosine, sine = _over_pixels(angle.cos()), _over_pixels(angle.sin())
    row = sine * x + cosine * y + middle_y
    column = cosine * x + (_over_pixels(slope) - sine) * y + middle_x
    return row.round().long(), column.round().long()


def _offset(uniform: torch.Tensor, reach: int) -> torch.Tensor:
    """Whole numbers -reach..reach, each with the same probability."""
    return (uniform * (2 * reach + 1)).long() - reach


def _over_pixels(values: torch.Tensor) -> torch.Tensor:
    """`[B]` as `[B, 1, 1]`."""
    return values[:, None, None]
