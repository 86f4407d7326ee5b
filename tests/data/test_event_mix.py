"""EventMix takes every event from one of two recordings, and the label says how many from which."""

import pytest
import torch

from neurokd.data import event_mix as module
from neurokd.data.event_mix import NUMBERS, event_mix, mixture_mask

SIZE = (6, 12, 10)


def uniform(batch: int, count: int = NUMBERS, seed: int = 0) -> torch.Tensor:
    return torch.rand((count, batch), generator=torch.Generator().manual_seed(seed))


def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the other recording into the last two of four frames, whatever the random numbers are."""
    mask = torch.zeros(1, 4, 2, 2, dtype=torch.bool)
    mask[:, 2:] = True
    monkeypatch.setattr(module, "mixture_mask", lambda size, numbers: mask)


def pair(first: list[int], second: list[int]) -> torch.Tensor:
    """Two recordings of four frames `[1, 2, 2]` with so many events in each pixel of a frame."""
    counts = torch.tensor([first, second], dtype=torch.uint8)
    return counts[:, :, None, None, None].expand(2, 4, 1, 2, 2).contiguous()


def test_labels_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first loses 3 of 4 parts and wins 1 of 2: 1/2 / (1/4 + 1/2) = 2/3. The second loses 1/2 and wins 3/4: 3/5."""
    half(monkeypatch)
    mixed, labels = event_mix(pair([1, 0, 1, 2], [4, 0, 0, 4]), torch.tensor([2, 0]), 1.0, 3, uniform(2))
    assert mixed[:, :, 0, 0, 0].tolist() == [[1, 0, 0, 4], [4, 0, 1, 2]]
    expected = torch.tensor([[2 / 3, 0, 1 / 3], [2 / 5, 0, 3 / 5]])
    torch.testing.assert_close(labels, expected)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 0, 0], [0, 0, 0, 0], [1.0, 0.0]),  # nothing anywhere: the own label
        ([5, 5, 0, 0], [0, 0, 0, 0], [1.0, 0.0]),
        ([0, 0, 0, 0], [1, 1, 1, 1], [0.0, 1.0]),
        ([0, 0, 7, 7], [9, 9, 0, 0], [1.0, 0.0]),  # all of the own events lost, none won
    ],
)
def test_empty_recordings_have_labels(
    monkeypatch: pytest.MonkeyPatch, first: list[int], second: list[int], expected: list[float]
) -> None:
    half(monkeypatch)
    labels = event_mix(pair(first, second), torch.tensor([0, 1]), 1.0, 2, uniform(2))[1]
    assert labels[0].tolist() == expected


def test_every_count_is_one_of_the_two_and_none_wraps() -> None:
    generator = torch.Generator().manual_seed(2)
    frames = torch.randint(200, 256, (16, 6, 2, 12, 10), dtype=torch.uint8, generator=generator)
    numbers = uniform(16)
    mixed, labels = event_mix(frames, torch.arange(16), 1.0, 16, numbers)
    other = (torch.arange(16) + 1 + (numbers[1] * 15).long()) % 16
    taken = mixture_mask(SIZE, numbers[2:])[:, :, None]
    assert mixed.dtype == torch.uint8
    assert torch.equal(mixed, torch.where(taken, frames[other], frames))
    assert torch.equal((labels > 0).nonzero()[:, 1].unique(), torch.arange(16))
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(16))


def test_the_probability_says_how_many_are_mixed() -> None:
    frames = torch.ones(400, 6, 2, 4, 4, dtype=torch.uint8)
    labels = event_mix(frames, torch.arange(400), 0.25, 400, uniform(400))[1]
    whole = (labels == torch.eye(400)).all(dim=1)
    assert 270 <= int(whole.sum()) <= 330


def test_a_recording_alone_is_not_mixed() -> None:
    frames = torch.ones(1, 6, 2, 4, 4, dtype=torch.uint8)
    mixed, labels = event_mix(frames, torch.tensor([1]), 1.0, 3, uniform(1))
    assert torch.equal(mixed, frames) and labels.tolist() == [[0.0, 1.0, 0.0]]


def test_the_mask_by_hand() -> None:
    """Two Gaussians of the same place and width are one: around its centre lies what is above the chosen place."""
    numbers = torch.zeros(30, 1)
    numbers[2:4] = 1.0  # the weights of the two; `count` 0 leaves out the others
    numbers[6:18] = 0.5  # the middle (of 5: 2) of each axis
    numbers[18:30] = 1.0  # the largest deviation, half of the axis
    numbers[1] = (2 * 25 + 2 * 5 + 3.5) / 125  # the place (2, 2, 3), a neighbour of the centre
    mask = mixture_mask((5, 5, 5), numbers)
    assert mask.nonzero().tolist() == [[0, 2, 2, 2]]
    numbers[1] = (2 * 25 + 3 * 5 + 3.5) / 125  # (2, 3, 3): the centre and its six neighbours are nearer
    assert int(mixture_mask((5, 5, 5), numbers).sum()) == 7


def test_the_part_that_is_mixed_is_uniform() -> None:
    parts = mixture_mask(SIZE, uniform(400, 30)).float().flatten(1).mean(dim=1)
    quartiles = torch.quantile(parts, torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quartiles, torch.tensor([0.25, 0.5, 0.75]), atol=0.08, rtol=0)
