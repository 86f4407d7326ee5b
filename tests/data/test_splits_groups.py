"""Splits by group follow from the names of the groups alone, divide none, and leave each class a training sample."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurokd.data.images import DataSet, ImageSet, IntArray
from neurokd.data.splits import divide, fingerprint, split
from neurokd.errors import NeurokdError

SMALL = settings(max_examples=60, deadline=None)
HASHED = [7, 4, 3, 2, 6, 0, 5, 1]  # 0..7 in the order of sha256("0:<number>"), by coreutils' sha256sum


def ints(*values: int) -> IntArray:
    return np.array(values, dtype=np.int64)


def dataset(labels: IntArray, groups: IntArray | None) -> DataSet:
    images = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
    train = ImageSet(images, torch.from_numpy(labels), groups)
    return DataSet("toy", train, train, tuple(str(k) for k in range(int(labels.max()) + 1)))


@st.composite
def samples(draw: st.DrawFn, pure: bool | None = None) -> tuple[IntArray, IntArray]:
    """Labels and groups of 2 to 40 samples; with `pure`, every group has one class."""
    count = draw(st.integers(2, 40))
    groups = np.array(draw(st.lists(st.integers(-5, 9), min_size=count, max_size=count)), dtype=np.int64)
    labels = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    return (groups % 3 if pure else np.array(labels, dtype=np.int64)), groups


def divided(data: tuple[IntArray, IntArray], share: float, seed: int = 0) -> tuple[IntArray, IntArray]:
    """The two parts; where no group can be taken, everything stays."""
    try:
        return divide(*data, share, seed)
    except NeurokdError as error:
        assert "none can be set aside" in str(error)
        return np.arange(len(data[0])), ints()


def test_samples_of_their_own_are_taken_in_the_order_of_their_hash() -> None:
    rest, chosen = divide(np.zeros(8, dtype=np.int64), np.arange(8), 0.375, seed=0)
    assert chosen.tolist() == sorted(HASHED[:3]) and rest.tolist() == sorted(HASHED[3:])


def test_groups_of_one_class_are_stratified() -> None:
    """Half of each class: of groups 0 to 3 (class 0) 3 and 2 come first, of 4 to 7 (class 1) 7 and 4."""
    rest, chosen = divide(ints(0, 0, 0, 0, 1, 1, 1, 1), np.arange(8), 0.5, seed=0)
    assert chosen.tolist() == [2, 3, 4, 7] and rest.tolist() == [0, 1, 5, 6]


def test_groups_of_several_classes_are_taken_whole_until_the_share_is_reached() -> None:
    """Subjects 0 to 3 with 3 samples each, 4 of 12 wanted: 3 comes first, then 2, and 6 are taken."""
    labels, subjects = ints(*[0, 1, 2] * 4), np.repeat(np.arange(4), 3)
    assert divide(labels, subjects, 1 / 3, seed=0)[1].tolist() == [6, 7, 8, 9, 10, 11]
    assert divide(labels, subjects, 0.25, seed=0)[1].tolist() == [9, 10, 11]


def test_a_group_with_the_last_samples_of_a_class_is_passed_over() -> None:
    """Group 7 comes first but has all of class 1; group 4 is next."""
    labels, groups = ints(0, 0, 1, 0, 0), ints(1, 4, 7, 7, 0)
    assert divide(labels, groups, 0.2, seed=0)[1].tolist() == [1]


@SMALL
@given(data=samples(), share=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_parts_are_complete_and_divide_no_group_and_keep_every_class(
    data: tuple[IntArray, IntArray], share: float, seed: int
) -> None:
    (labels, groups), (rest, chosen) = data, divided(data, share, seed)
    assert np.array_equal(np.sort(np.concatenate([rest, chosen])), np.arange(len(labels)))
    assert not set(groups[rest]) & set(groups[chosen])
    assert set(labels[rest]) == set(labels)


@SMALL
@given(data=samples(), share=st.floats(0.1, 0.9), random=st.randoms(use_true_random=False))
def test_the_order_of_the_samples_plays_no_part(
    data: tuple[IntArray, IntArray], share: float, random: "np.random.Generator"
) -> None:
    (labels, groups), order = data, np.arange(len(data[0]))
    random.shuffle(order)
    first, again = divided(data, share), divided((labels[order], groups[order]), share)
    assert set(groups[first[1]]) == set(groups[order][again[1]])


@SMALL
@given(data=samples(pure=True), share=st.floats(0.01, 0.99))
def test_every_class_gets_its_share_up_to_one_group(data: tuple[IntArray, IntArray], share: float) -> None:
    (labels, groups), (_, chosen) = data, divided(data, share)
    for label in np.unique(labels):
        sizes = np.unique(groups[labels == label], return_counts=True)[1]
        assert abs(np.sum(labels[chosen] == label) - share * sizes.sum()) < sizes.max() + 1  # + 1: whole samples


@SMALL
@given(subjects=st.integers(2, 12), share=st.floats(0.01, 0.6))
def test_all_classes_together_get_the_share_up_to_one_group(subjects: int, share: float) -> None:
    labels, groups = np.tile(np.arange(3), subjects), np.repeat(np.arange(subjects), 3)
    wanted = min(round(share * 3 * subjects), 3 * (subjects - 1))
    assert 0 <= len(divided((labels, groups), share)[1]) - wanted < 3


def test_split_goes_by_groups_where_there_are_any() -> None:
    labels, groups = np.zeros(8, dtype=np.int64), np.arange(8) // 2
    parts = split(dataset(labels, groups), 0.25, seed=0)
    assert parts.validation.tolist() == [6, 7] and parts.train.tolist() == [0, 1, 2, 3, 4, 5]
    assert split(dataset(labels, None), 0.25, seed=0).validation.tolist() != [6, 7]


def test_the_seed_decides() -> None:
    labels, groups = np.zeros(100, dtype=np.int64), np.arange(100)
    first, again, other = (divide(labels, groups, 0.2, seed)[1] for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize("groups", [ints(5, 5, 5, 5), ints(1, 1, 2, 2)])
def test_groups_that_cannot_be_divided_are_refused(groups: IntArray) -> None:
    with pytest.raises(NeurokdError, match=r"groups with 4 samples none can be set aside as a part of 0\.5"):
        divide(ints(0, 0, 1, 1), groups, 0.5, seed=0)


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_part_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(NeurokdError, match=r"part is .* more than 0 and less than 1"):
        divide(ints(0, 0), ints(0, 1), share, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(NeurokdError, match="seed is"):
        divide(ints(0, 0), ints(0, 1), 0.5, seed)


def test_the_fingerprint_is_that_of_little_endian_int64() -> None:
    """`printf '\\0\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0' | sha256sum`."""
    expected = "9d34149fbd1fe777eb238799054c8cbfbce372255f219f8740838def9bfd02db"
    assert fingerprint(ints(0, 1)) == fingerprint(ints(0, 1).astype(">i8")) == expected
    assert fingerprint(ints(1, 0)) != expected
