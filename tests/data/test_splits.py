"""Splits are stratified, disjoint, complete, and the same for the same seed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurokd.data.images import DataSet, ImageSet
from neurokd.data.splits import split, stratified
from neurokd.errors import NeurokdError


def dataset(labels: list[int]) -> DataSet:
    images = ImageSet(torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), torch.tensor(labels))
    return DataSet("toy", images, images, tuple(str(k) for k in range(max(labels) + 1)))


UNEQUAL = dataset([0] * 100 + [1] * 50 + [2] * 10)


def test_every_class_keeps_its_share() -> None:
    parts = split(UNEQUAL, 0.1, seed=0)
    assert np.bincount(UNEQUAL.train.labels[parts.validation]).tolist() == [10, 5, 1]


@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=80),
    part=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_parts_are_disjoint_and_complete(labels: list[int], part: float, seed: int) -> None:
    data = dataset(labels)
    try:
        parts = split(data, part, seed)
    except NeurokdError:  # too few images for a validation image
        return
    assert np.array_equal(np.sort(np.concatenate([parts.train, parts.validation])), np.arange(len(labels)))
    assert set(data.train.labels[parts.train].tolist()) == set(labels)


def test_the_seed_decides() -> None:
    first, again, other = (split(UNEQUAL, 0.25, seed).validation for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_known_choice_stays_the_same_on_every_machine() -> None:
    assert split(dataset([0, 1] * 10), 0.2, seed=0).validation.tolist() == [4, 7, 11, 16]


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6), share=st.floats(0, 1))
def test_stratified_gives_exactly_the_count_and_fair_shares(sizes: list[int], share: float) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    count = round(share * len(labels))
    chosen = stratified(labels, count, seed=1)
    assert len(chosen) == len(set(chosen.tolist())) == count
    exact = np.array(sizes) * (count / len(labels))
    assert np.all(np.abs(np.bincount(labels[chosen], minlength=len(sizes)) - exact) < 1 + 1e-9)


@pytest.mark.parametrize("part", [0.0, 1.0, -0.1, float("nan")])
def test_a_part_outside_0_to_1_is_refused(part: float) -> None:
    with pytest.raises(NeurokdError, match="more than 0 and less than 1"):
        split(UNEQUAL, part, seed=0)


def test_no_validation_image_is_refused() -> None:
    with pytest.raises(NeurokdError, match="is no validation image"):
        split(dataset([0, 1, 0, 1]), 0.01, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(NeurokdError, match="seed is"):
        split(UNEQUAL, 0.1, seed)
