"""The search space: what it counts, how it numbers, and that small networks are parts of large ones."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neurokd.errors import NeurokdError
from neurokd.models import build_model
from neurokd.search.space import FACTORY, Space, stage_net

PAPER = Space(
    channels=[[48, 64, 80], [96, 128, 160], [192, 256, 320], [384, 512, 640]],
    depths=[[2, 3, 4, 5], [2, 3, 4, 5], [2, 3, 4, 5, 6, 7, 8], [2, 3, 4, 5]],
)


def test_the_paper_s_space_has_36288_subnets() -> None:
    assert PAPER.count == 36_288 == 3**4 * 4 * 4 * 7 * 4
    assert PAPER.smallest.name == "c48-96-192-384_d2-2-2-2"
    assert PAPER.largest.name == "c80-160-320-640_d5-5-8-5"


choices = st.lists(st.integers(1, 20), min_size=1, max_size=3, unique=True).map(sorted)


@given(st.lists(st.tuples(choices, choices), min_size=1, max_size=3))
def test_every_number_is_another_subnet_of_the_space(stages: list[tuple[list[int], list[int]]]) -> None:
    space = Space(channels=[channels for channels, _ in stages], depths=[depths for _, depths in stages])
    subnets = [space.subnet(index) for index in range(space.count)]
    assert len(set(subnets)) == space.count
    assert subnets[0] == space.smallest
    assert subnets[-1] == space.largest
    for subnet in subnets:
        assert all(value in axis for value, axis in zip((*subnet.channels, *subnet.depths), space.axes, strict=True))


@pytest.mark.parametrize(
    ("channels", "depths", "message"),
    [
        ([[4, 8]], [[1], [1]], "channels has 1 stages, depths has 2"),
        ([[8, 4]], [[1]], "must rise"),
        ([[4, 4]], [[1]], "must rise"),
        ([[]], [[1]], "at least 1 item"),
        ([[4]], [[0]], "greater than or equal to 1"),
        ([], [], "at least 1 item"),
    ],
)
def test_a_space_that_is_none_is_refused(channels: list[list[int]], depths: list[list[int]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Space(channels=channels, depths=depths)


def test_tensors_of_a_smaller_network_are_leading_parts_of_a_larger_one() -> None:
    with torch.device("meta"):
        large = stage_net((3, 32, 32), 10, PAPER.largest.channels, PAPER.largest.depths).state_dict()
        for index in (0, 1, 17_000, 36_287):
            small = PAPER.subnet(index)
            for name, tensor in stage_net((3, 32, 32), 10, small.channels, small.depths).state_dict().items():
                assert all(a <= b for a, b in zip(tensor.shape, large[name].shape, strict=True)), name


def test_a_recipe_can_name_a_subnet() -> None:
    net = build_model(FACTORY, (1, 9, 7), 3, channels=[4, 6, 8], depths=[1, 2, 1])
    assert net(torch.zeros(2, 1, 9, 7)).shape == (2, 3)  # odd sizes halve upwards
    assert [len(stage) for stage in net.stages] == [1, 2, 1]  # type: ignore[union-attr,arg-type]


@pytest.mark.parametrize(
    ("channels", "depths", "message"),
    [
        ([4, 8], [1], "2 channels and 1 depths"),
        ([], [], "channels is \\[\\]"),
        ([4], [0], "depths is \\[0\\]"),
        ([4], [True], "depths is \\[True\\]"),
        ([4.5], [1], "channels is \\[4.5\\]"),
    ],
)
def test_a_network_without_sense_is_refused(channels: list[int], depths: list[int], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        build_model(FACTORY, (1, 8, 8), 2, channels=channels, depths=depths)
