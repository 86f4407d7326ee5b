"""Augmentation is deterministic, changes each sample on its own, and does what its names say."""

import time

import pytest
import torch

from neurokd.data.augment import augment
from neurokd.data.augment_config import AugmentConfig

ALL = AugmentConfig(flip=True, shift=2, cutout=3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(1, 256, (64, 3, 10, 12), dtype=torch.uint8, generator=generator(9))


def test_nothing_asked_changes_nothing(images: torch.Tensor) -> None:
    assert torch.equal(augment(images, AugmentConfig(), generator()), images)


def test_the_argument_is_not_changed(images: torch.Tensor) -> None:
    before = images.clone()
    augment(images, ALL, generator())
    assert torch.equal(images, before)


def test_the_generator_decides(images: torch.Tensor) -> None:
    assert torch.equal(augment(images, ALL, generator(1)), augment(images, ALL, generator(1)))
    assert not torch.equal(augment(images, ALL, generator(1)), augment(images, ALL, generator(2)))


def test_the_global_generator_is_left_alone(images: torch.Tensor) -> None:
    before = torch.get_rng_state()
    augment(images, ALL, generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_sample_does_not_depend_on_the_others(images: torch.Tensor) -> None:
    others = images.clone()
    others[1:] = 0
    assert torch.equal(augment(images, ALL, generator())[0], augment(others, ALL, generator())[0])


def test_equal_images_of_a_batch_are_varied_differently() -> None:
    image = torch.arange(1, 101, dtype=torch.uint8).reshape(1, 1, 10, 10)
    varied = augment(image.repeat(32, 1, 1, 1), ALL, generator())
    assert len({sample.numpy().tobytes() for sample in varied}) > 16


def test_flip_mirrors_about_half_of_the_images(images: torch.Tensor) -> None:
    out = augment(images, AugmentConfig(flip=True), generator())
    mirrored = [torch.equal(new, old.flip(-1)) for new, old in zip(out, images, strict=True)]
    kept = [torch.equal(new, old) for new, old in zip(out, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 20 <= sum(mirrored) <= 44


def test_shift_is_a_crop_of_the_zero_padded_image(images: torch.Tensor) -> None:
    out = augment(images, AugmentConfig(shift=2), generator())
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    corners = set()
    for new, old in zip(out, padded, strict=True):
        found = [(y, x) for y in range(5) for x in range(5) if torch.equal(new, old[:, y : y + 10, x : x + 12])]
        assert len(found) == 1
        corners.update(found)
    assert len(corners) > 15  # of 25


def test_cutout_clears_one_square_in_all_channels(images: torch.Tensor) -> None:
    out = augment(images, AugmentConfig(cutout=3), generator())
    for new, old in zip(out, images, strict=True):
        cleared = (new == 0).all(dim=0)
        assert torch.equal(new, torch.where(cleared, 0, old).to(torch.uint8))
        rows, columns = cleared.any(dim=1).nonzero().flatten(), cleared.any(dim=0).nonzero().flatten()
        assert 2 <= len(rows) <= 3 and 2 <= len(columns) <= 3  # the edge clips it
        assert cleared.sum() == len(rows) * len(columns)


def test_one_variation_does_not_change_another(images: torch.Tensor) -> None:
    flipped = augment(images, AugmentConfig(flip=True), generator())
    both = augment(images, AugmentConfig(flip=True, cutout=3), generator())
    assert torch.equal(torch.where(both == 0, flipped, both), flipped)


def test_works_on_noncontiguous_and_empty_batches(images: torch.Tensor) -> None:
    strided = images.to(memory_format=torch.channels_last)
    assert torch.equal(augment(strided, ALL, generator()), augment(images, ALL, generator()))
    assert augment(images[:0], ALL, generator()).shape == (0, 3, 10, 12)


def test_a_whole_epoch_of_28x28_images_is_quick() -> None:
    batch, stream = torch.zeros(128, 1, 28, 28, dtype=torch.uint8), generator()
    start = time.process_time()
    for _ in range(47):  # a tenth of an epoch of 60,000
        augment(batch, ALL, stream)
    assert time.process_time() - start < 1.0  # measured: 0.03 s
