"""Random variation of a batch of event recordings that have become frames."""

import torch

from neurokd.data import event_mix, nda
from neurokd.data.augment import augment
from neurokd.data.augment_config import AugmentConfig
from neurokd.errors import NeurokdError


def augment_events(
    frames: torch.Tensor, labels: torch.Tensor, config: AugmentConfig, generator: torch.Generator, classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return varied copies of `frames` (`[B, T, C, H, W]`, uint8 counts) and their labels.

    A window in time is chosen first (`T - config.temporal_crop` frames stay), then every recording is varied on its
    own, all of its frames and both polarities alike: NDA, shift, flip, cutout; last, recordings are mixed. Labels
    `[B]` (int64) stay as they are, or become float `[B, classes]` where `config.mix` is more than 0.

    All random numbers of a call are drawn whether they are used or not: switching one variation on or off does not
    change the others. The generator lives on the CPU. Raises NeurokdError when no frame would be left.

    >>> frames, labels = torch.ones(2, 6, 2, 8, 8, dtype=torch.uint8), torch.tensor([0, 2])
    >>> config = AugmentConfig(nda=True, mix=0.5, temporal_crop=1)
    >>> [part.shape for part in augment_events(frames, labels, config, torch.Generator().manual_seed(0), classes=3)]
    [torch.Size([2, 5, 2, 8, 8]), torch.Size([2, 3])]
    """
    numbers = torch.rand((1 + nda.NUMBERS + event_mix.NUMBERS, len(frames)), generator=generator).to(frames.device)
    start, geometry, mixture = numbers.split((1, nda.NUMBERS, event_mix.NUMBERS))
    if config.temporal_crop:
        frames = _windows(frames, config.temporal_crop, start[0])
    if config.nda:
        frames = nda.nda(frames, geometry)
    frames = augment(frames.flatten(1, 2), config, generator).view(frames.shape)
    if config.mix:
        return event_mix.event_mix(frames, labels, config.mix, classes, mixture)
    return frames, labels


def _windows(frames: torch.Tensor, crop: int, uniform: torch.Tensor) -> torch.Tensor:
    """Consecutive frames of each recording from one of `0..crop` on, chosen by `uniform` (`[B]`)."""
    left = frames.shape[1] - crop
    if left < 1:
        raise NeurokdError(
            f"data.augment.temporal_crop is {crop}, allowed is less than the {frames.shape[1]} frames that were cut; "
            "cut more frames or lower it"
        )
    windows = frames.unfold(1, left, 1)  # a view: [B, crop + 1, C, H, W, left]
    chosen = windows[torch.arange(len(frames), device=frames.device), (uniform * (crop + 1)).long()]
    return chosen.movedim(-1, 1).contiguous()
