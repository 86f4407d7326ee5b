"""A subnet of the supernet is the stand-alone network with the leading slices, forwards and backwards."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from neurokd.data.dataset import load_dataset
from neurokd.search.sandwich import sandwich
from neurokd.search.space import StageNet, Subnet
from neurokd.search.spec import Search, load_search
from neurokd.search.supernet import Supernet
from neurokd.spiking import SpikingNetwork, to_spiking

BETWEEN = Subnet((4, 8), (2, 1))


@pytest.fixture
def supernet(search: Search) -> Supernet:
    """Shared weights that no two channels or blocks have in common."""
    net = Supernet(search.base, search.space, load_dataset(search.base.data))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.weights.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return net


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def by_hand(supernet: Supernet, subnet: Subnet) -> SpikingNetwork:
    """The stand-alone spiking network, its weights copied slice by slice as the class is written."""
    small = StageNet(subnet, (1, 8, 8), 2)
    big = supernet.weights.net
    with torch.no_grad():
        small.conv1.weight.copy_(big.conv1.weight[: subnet.channels[0]])
        copy_norm(small.bn1, big.bn1)
        before = subnet.channels[0]
        for stage, (channels, depth) in enumerate(zip(subnet.channels, subnet.depths, strict=True)):
            for block in range(depth):
                to, source = small.stages[stage][block], big.stages[stage][block]
                to.conv1.weight.copy_(source.conv1.weight[:channels, :before])
                to.conv2.weight.copy_(source.conv2.weight[:channels, :channels])
                copy_norm(to.bn1, source.bn1)
                copy_norm(to.bn2, source.bn2)
                if stage and not block:
                    to.shortcut[0].weight.copy_(source.shortcut[0].weight[:channels, :before])
                    copy_norm(to.shortcut[1], source.shortcut[1])
                before = channels
        small.head[-1].weight.copy_(big.head[-1].weight[:, :before])
        small.head[-1].bias.copy_(big.head[-1].bias)
    return to_spiking(small, supernet.recipe.neuron, supernet.recipe.timesteps)


def copy_norm(to: nn.BatchNorm2d, source: nn.BatchNorm2d) -> None:
    to.weight.copy_(source.weight[: to.num_features])
    to.bias.copy_(source.bias[: to.num_features])


@pytest.mark.parametrize("which", ["smallest", "between", "largest"])
def test_a_subnet_is_the_network_with_the_slices(supernet: Supernet, images: torch.Tensor, which: str) -> None:
    subnet = BETWEEN if which == "between" else getattr(supernet.space, which)
    expected = by_hand(supernet, subnet).train()(images)
    assert expected.shape == (2, 16, 2)
    assert expected.std() > 0  # the network answers something
    assert torch.equal(supernet.logits(subnet, images), expected)
    cut = supernet.cut(subnet).train()
    assert torch.equal(cut(images), expected)
    twin = by_hand(supernet, subnet).train()
    twin(images)
    assert torch.equal(cut.eval()(images), twin.eval()(images))  # the same running statistics, the same answers


def test_gradients_reach_the_slice_and_nothing_else(supernet: Supernet, images: torch.Tensor) -> None:
    supernet.logits(BETWEEN, images).square().sum().backward()
    alone = by_hand(supernet, BETWEEN).train()
    alone(images).square().sum().backward()
    expected = {name: parameter.grad for name, parameter in alone.named_parameters()}
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in expected.values())
    for name, parameter in supernet.weights.named_parameters():
        if name not in expected:  # a block beyond the subnet's depth
            assert parameter.grad is None, name
            continue
        inside = tuple(slice(0, size) for size in expected[name].shape)
        assert torch.allclose(parameter.grad[inside], expected[name], rtol=1e-4, atol=1e-6), name
        outside = parameter.grad.clone()
        outside[inside] = 0
        assert not outside.any(), name


def test_a_cut_is_a_copy(supernet: Supernet) -> None:
    cut = supernet.cut(supernet.space.largest)
    with torch.no_grad():
        for parameter in cut.parameters():
            parameter.zero_()
    assert all(parameter.any() for parameter in supernet.weights.parameters())


def test_a_plain_ann_has_one_step(write_search: Callable[..., Path], images: torch.Tensor) -> None:
    search = load_search(write_search({"neuron": None, "timesteps": 1}))
    supernet = Supernet(search.base, search.space, load_dataset(search.base.data))
    assert supernet.logits(BETWEEN, images).shape == (1, 16, 2)
    assert torch.equal(supernet.logits(BETWEEN, images)[0], supernet.cut(BETWEEN).train()(images))


def test_parameters_and_macs_are_those_of_the_network(supernet: Supernet) -> None:
    parameters, macs = supernet.parameters_and_macs(BETWEEN)
    assert parameters == sum(p.numel() for p in supernet.cut(BETWEEN).parameters())
    # 3x3 convolutions on 8x8 (22 x 22 taps lie inside) and on 4x4, from 8x8 with stride 2 (11 x 11) or not (10 x 10)
    first = 22 * 22 * (1 * 4 + 4 * 4 * 4)
    second = 11 * 11 * 4 * 8 + 10 * 10 * 8 * 8 + 4 * 4 * 4 * 8
    assert macs == first + second + 8 * 2


def test_every_step_trains_the_largest_and_the_smallest(search: Search) -> None:
    space = search.space
    seen = set()
    for step in range(200):
        subnets = sandwich(space, 2, seed=3, step=step)
        assert subnets[:2] == [space.largest, space.smallest]
        assert len(subnets) == 4
        assert subnets == sandwich(space, 2, seed=3, step=step)
        seen |= set(subnets)
    assert len(seen) == space.count
    assert sandwich(space, 2, 3, 0)[2:] != sandwich(space, 2, 3, 1)[2:]
