"""EventMix: a recording mixed with another along a random shape (Shen et al. 2022, arXiv 2205.12054)."""

import torch
import torch.nn.functional as F

COMPONENTS = 4  # Gaussians at most, 2 at least
WIDEST = 0.5  # of an axis, the largest deviation
NARROWEST = 0.1  # of the largest deviation
NUMBERS = 4 + 7 * COMPONENTS  # random numbers that a recording takes


def event_mix(
    frames: torch.Tensor, labels: torch.Tensor, probability: float, classes: int, uniform: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each recording with another of the batch, with `probability`; return frames and soft labels `[B, classes]`.

    `frames` is `[B, T, C, H, W]` (uint8), `labels` `[B]` (int64), `uniform` `[32, B]` in [0, 1). Inside of the
    `mixture_mask` the events are the other recording's. The label is the paper's "number of events" variant, not the
    one by distance: with `m` the share of its events that a recording lost and `n` the share of the other's events
    that it won, the other's label has the weight `n / (1 - m + n)`, as in the public code. A recording without
    events has the share 0; where no event is left, the own label stays whole.

    >>> frames = torch.ones(2, 4, 2, 8, 8, dtype=torch.uint8)
    >>> event_mix(frames, torch.tensor([0, 1]), 1.0, 3, torch.rand(NUMBERS, 2))[1].sum(dim=1)
    tensor([1., 1.])
    """
    batch = len(frames)
    chance, which, mixture = uniform[0], uniform[1], uniform[2:]
    own = F.one_hot(labels, classes).float()
    if batch == 1:
        return frames, own
    order = torch.arange(batch, device=frames.device)
    other = (order + 1 + (which * (batch - 1)).long()) % batch
    mask = mixture_mask((frames.shape[1], *frames.shape[3:]), mixture) & (chance < probability)[:, None, None, None]
    kept, won = frames * ~mask[:, :, None], frames[other] * mask[:, :, None]
    events = _events(frames).clamp(min=1)
    share_kept, share_won = _events(kept) / events, _events(won) / events[other]
    weight = (share_won / (share_kept + share_won).clamp(min=torch.finfo(torch.float32).tiny))[:, None]
    return kept + won, (1 - weight) * own + weight * own[other]


def _events(frames: torch.Tensor) -> torch.Tensor:
    return frames.flatten(1).sum(dim=1, dtype=torch.float32)


def mixture_mask(size: tuple[int, ...], uniform: torch.Tensor) -> torch.Tensor:
    """Where a random mixture of Gaussians is above a random quantile of itself: bool `[B, *size]`.

    `size` is (T, H, W), `uniform` `[30, B]` in [0, 1). Two to four Gaussians with random weights have their centres
    anywhere and deviations of 0.05 to 0.5 of each axis, as in the public code. The quantile follows Beta(1, 1) as
    there; this is uniform, so that the threshold is the value at a place chosen at random.
    """
    count, place, *numbers = uniform.split((1, 1, *(7 * (COMPONENTS,))))
    weights, centres, widths = numbers[0], numbers[1:4], numbers[4:7]
    present = torch.arange(COMPONENTS, device=uniform.device)[:, None] < 2 + (count * (COMPONENTS - 1)).long()
    along = [_bell(*axis) for axis in zip(size, centres, widths, strict=True)]
    density = torch.einsum("kb,kbt,kby,kbx->btyx", weights * present, *along)
    values = density.flatten(1)
    threshold = values.gather(1, (place[0] * values.shape[1]).long()[:, None])
    return density > threshold[:, :, None, None]


def _bell(length: int, centre: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """`exp(-(x - c)^2 / (2 s^2))` at `x = 0..length - 1`, for `c` and `s` as shares of the axis: `[K, B, length]`."""
    middle, deviation = (centre * length).long(), width.clamp(min=NARROWEST) * WIDEST * length
    position = torch.arange(length, device=centre.device)
    return torch.exp(-(((position - middle[..., None]) / deviation[..., None]) ** 2) / 2)
