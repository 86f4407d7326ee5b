"""BKDSNN's generator: what its mask drops, and what shapes it takes and gives."""

from typing import Literal

import pytest
import torch
from torch import nn

from neurokd.distill import BKDSNN
from neurokd.distill.bkdsnn import Restorer
from neurokd.distill.features import ShapePair
from neurokd.errors import NeurokdError

Mask = Literal["channel", "position"]


def masked(mask: Mask, ratio: float, seed: int, shape: tuple[int, ...] = (8, 40, 6, 5)) -> torch.Tensor:
    """What a generator's convolutions see of a map of ones."""
    restorer = Restorer(ShapePair("tap", shape[1:], shape[1:]), mask, ratio)
    restorer.restore = nn.Identity()
    torch.manual_seed(seed)
    return restorer(torch.ones(shape))


@pytest.mark.parametrize("mask", ["channel", "position"])
def test_the_mask_follows_the_seed_alone(mask: Mask) -> None:
    assert torch.equal(masked(mask, 0.5, seed=1), masked(mask, 0.5, seed=1))
    assert not torch.equal(masked(mask, 0.5, seed=1), masked(mask, 0.5, seed=2))


def test_a_channel_goes_as_a_whole_and_in_each_sample_by_itself() -> None:
    kept = masked("channel", 0.5, seed=0)
    assert torch.equal(kept, kept[:, :, :1, :1].expand_as(kept))
    assert not torch.equal(kept[0], kept[1])


def test_a_position_goes_in_all_channels_and_in_each_sample_by_itself() -> None:
    kept = masked("position", 0.5, seed=0)
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    assert not torch.equal(kept[0], kept[1])


@pytest.mark.parametrize("mask", ["channel", "position"])
@pytest.mark.parametrize("ratio", [0.0, 0.15, 0.6])
def test_the_mask_drops_its_ratio(mask: Mask, ratio: float) -> None:
    """6400 channels, or 6400 positions, are drawn: five standard deviations are at most 0.031."""
    shape = (100, 64, 1, 1) if mask == "channel" else (100, 1, 8, 8)
    dropped = 1.0 - float(masked(mask, ratio, seed=4, shape=shape).mean())
    assert dropped == pytest.approx(ratio, abs=5 * (ratio * (1 - ratio) / 6400) ** 0.5)


def test_kept_values_are_not_scaled_up() -> None:
    assert set(masked("channel", 0.5, seed=0).unique().tolist()) == {0.0, 1.0}


def test_the_mask_is_drawn_in_evaluation_too() -> None:
    restorer = Restorer(ShapePair("tap", (64, 2, 2), (64, 2, 2)), "channel", 0.5).eval()
    restorer.restore = nn.Identity()
    assert 0.2 < float(restorer(torch.ones(4, 64, 2, 2)).mean()) < 0.8


@pytest.mark.parametrize(
    ("student", "teacher"), [((3, 4, 4), (7, 4, 4)), ((7, 4, 4), (7, 4, 4)), ((9, 2, 8), (2, 2, 8))]
)
def test_generators_give_the_channels_of_the_teacher(student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
    (restorer,) = BKDSNN().adapters([ShapePair("tap", student, teacher)])
    assert restorer(torch.rand(2, *student)).shape == (2, teacher[0], *student[1:])
    aligned = [module for module in restorer.align.modules() if isinstance(module, nn.Conv2d)]
    assert len(aligned) == (student[0] != teacher[0])
    kernels = [layer.kernel_size for layer in restorer.restore if isinstance(layer, nn.Conv2d)]
    assert kernels == [(3, 3), (3, 3)] and isinstance(restorer.restore[1], nn.ReLU)


def test_vectors_are_refused_with_their_shape() -> None:
    with pytest.raises(NeurokdError, match=r"feature relu: shape \[64\]; bkdsnn needs maps \[C, H, W\]"):
        BKDSNN().adapters([ShapePair("relu", (64,), (32,))])
