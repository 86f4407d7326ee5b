"""Our models beside the published ones: parameter counts, and torchvision's and timm's own networks."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models  # type: ignore[import-untyped]

from neurokd.models import build_model
from neurokd.models.macs import count_macs
from neurokd.neurons import LIF
from neurokd.spiking import to_spiking


def counted(name: str, shape: tuple[int, int, int], classes: int, **options: Any) -> nn.Module:
    """A model that is there to be counted: shapes without values."""
    with torch.device("meta"):
        return build_model(name, shape, classes, **options)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("vgg-tiny", (1, 28, 28), 9 * 32 + 9 * 32 * 64 + 9 * 64 * 128 + 2 * (32 + 64 + 128) + 128 * 49 * 10 + 10),
        ("vgg11", (3, 32, 32), 9_231_114 - 2_752),  # the usual CIFAR VGG-11 without its 2,752 convolution biases
        ("vgg16", (3, 32, 32), 14_728_266 - 4_224),  # the usual CIFAR VGG-16 without its 4,224 convolution biases
        ("resnet18", (3, 32, 32), 11_173_962),  # the figures of the usual CIFAR ResNets
        ("resnet34", (3, 32, 32), 21_282_122),
        ("resnet50", (3, 32, 32), 23_520_842),
        ("resnet101", (3, 32, 32), 42_512_970),
        ("resnet152", (3, 32, 32), 58_156_618),
    ],
)
def test_counts_for_small_images(name: str, shape: tuple[int, int, int], expected: int) -> None:
    assert parameters(counted(name, shape, 10)) == expected


@pytest.mark.parametrize(
    ("name", "shape", "millions"),
    [
        ("resnet19", (3, 32, 32), 12.63),  # as papers after tdBN state it
        ("vgg-snn", (2, 48, 48), 9.27),
    ],
)
def test_counts_that_papers_round(name: str, shape: tuple[int, int, int], millions: float) -> None:
    assert round(parameters(counted(name, shape, 10)) / 1e6, 2) == millions


def test_snn5_by_hand() -> None:
    convolutions = 9 * 2 * 128 + 4 * 9 * 128 * 128 + 5 * 2 * 128
    linear = 128 * 4 * 4 * 512 + 512 + 512 * 11 + 11  # 128x128 pixels are 4x4 behind five pools
    assert parameters(counted("snn5", (2, 128, 128), 11)) == convolutions + linear


@pytest.mark.parametrize(
    ("name", "theirs", "expected"),
    [
        ("resnet18", "resnet18", 11_689_512),
        ("resnet34", "resnet34", 21_797_672),
        ("resnet50", "resnet50", 25_557_032),
        ("resnet101", "resnet101", 44_549_160),
        ("resnet152", "resnet152", 60_192_808),
        ("sew-resnet18", "resnet18", 11_689_512),
        ("sew-resnet34", "resnet34", 21_797_672),
    ],
)
def test_imagenet_models_have_torchvision_s_tensors(name: str, theirs: str, expected: int) -> None:
    ours = counted(name, (3, 224, 224), 1000, stem="imagenet")
    with torch.device("meta"):
        other = models.get_model(theirs)
    assert parameters(ours) == expected
    assert Counter(p.shape for p in ours.parameters()) == Counter(p.shape for p in other.parameters())
    assert count_macs(ours, (3, 224, 224)) == count_macs(other, (3, 224, 224))


@pytest.mark.parametrize(("name", "theirs"), [("vgg11", "vgg11_bn"), ("vgg16", "vgg16_bn")])
def test_vgg_has_torchvision_s_convolutions(name: str, theirs: str) -> None:
    def convolutions(model: nn.Module) -> list[torch.Size]:
        return [module.weight.shape for module in model.modules() if isinstance(module, nn.Conv2d)]

    with torch.device("meta"):
        other = models.get_model(theirs)
    assert convolutions(counted(name, (3, 32, 32), 10)) == convolutions(other)


def with_the_weights_of(source: nn.Module, name: str) -> nn.Module:
    """Our model with the tensors of another library's, which come in the same order."""
    model = build_model(name, (3, 32, 32), 10, stem="imagenet-max")
    values = source.state_dict().values()
    model.load_state_dict(dict(zip(model.state_dict(), values, strict=True)))
    return model


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("torchvision:resnet18", "resnet18"), ("torchvision:resnet50", "resnet50"), ("timm:resnet18", "resnet18")],
)
def test_same_weights_same_logits_and_same_spikes(theirs: str, ours: str) -> None:
    """Where one ReLU module serves a block several times, each use becomes neurons of its own."""
    if theirs.startswith("timm"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    other = build_model(theirs, (3, 32, 32), 10)
    model = with_the_weights_of(other, ours)
    images = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(other(images), model(images))
    students = [to_spiking(ann, LIF(), timesteps=2) for ann in (other, model)]
    logits = [student(images) for student in students]
    for each in logits:
        each.square().sum().backward()
    torch.testing.assert_close(logits[0], logits[1])
    assert float(logits[0].detach().std()) > 0
    for one, two in zip(students[0].parameters(), students[1].parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)
