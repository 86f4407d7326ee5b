"""Multiply-accumulates against counts by hand and against NeuroBench's own procedure."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.models import build_model
from neurokd.models.macs import count_macs


def ones_macs(layer: nn.Conv2d, shape: tuple[int, int, int]) -> int:
    """NeuroBench's dense count: ones for inputs and weights, zero for the bias, and the sum of what comes out."""
    ones = copy.deepcopy(layer)
    with torch.no_grad():
        ones.weight.fill_(1)
        if ones.bias is not None:
            ones.bias.fill_(0)
        return int(ones(torch.ones(1, *shape)).double().sum())


def test_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),  # 4x4: along one axis 2 taps fall off the 12 -> 10 * 10 * 2 * 3
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(3, 3, 2, groups=3),  # 1 position * 4 taps * 1 input channel * 3
        nn.Flatten(),
        nn.Linear(3, 5),  # 15
    )
    assert count_macs(model, (2, 4, 4)) == 600 + 12 + 15


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_convolutions_are_counted_as_neurobench_counts_them(data: st.DataObject) -> None:
    groups = data.draw(st.sampled_from([1, 2]))
    layer = nn.Conv2d(
        groups * data.draw(st.integers(1, 2)),
        groups * data.draw(st.integers(1, 2)),
        kernel_size=(data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))),
        stride=data.draw(st.integers(1, 3)),
        padding=data.draw(st.integers(0, 3)),
        dilation=data.draw(st.integers(1, 2)),
        groups=groups,
    )
    shape = (layer.in_channels, data.draw(st.integers(5, 8)), data.draw(st.integers(5, 8)))
    assert count_macs(layer, shape) == ones_macs(layer, shape)


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_named_paddings(padding: str, kernel: int) -> None:
    layer = nn.Conv2d(1, 2, kernel, padding=padding)
    assert count_macs(layer, (1, 6, 6)) == ones_macs(layer, (1, 6, 6))


def test_circular_padding_has_no_empty_taps() -> None:
    layer = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
    assert count_macs(layer, (1, 6, 6)) == ones_macs(layer, (1, 6, 6)) == 36 * 9 * 2


def test_a_layer_used_twice_counts_twice() -> None:
    layer = nn.Linear(4, 4)
    assert count_macs(nn.Sequential(nn.Flatten(), layer, layer), (1, 2, 2)) == 32


def test_the_model_is_left_as_it_was() -> None:
    model = build_model("vgg-tiny", (1, 8, 8), 10, width=4).train()
    frozen = model.get_submodule("bn2").eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count_macs(model, (1, 8, 8))
    assert model.training and not frozen.training and model.get_submodule("bn1").training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_wrong_shape_is_told_and_leaves_no_hooks() -> None:
    model = build_model("vgg-tiny", (1, 8, 8), 10, width=4)
    with pytest.raises(NeurokdError, match=r"Sequential: cannot take one image of shape \(3, 8, 8\)"):
        count_macs(model, (3, 8, 8))
    assert model.training and not any(module._forward_hooks for module in model.modules())


def test_a_model_without_parameters_has_none() -> None:
    assert count_macs(nn.ReLU(), (1, 2, 2)) == 0
