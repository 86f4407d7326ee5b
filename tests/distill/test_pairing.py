"""Which features of two networks are compared, and what is said where none can be."""

import itertools

import pytest
import torch
import torchvision
from torch import nn

from neurokd.distill import BKDSNN, KDSNN, SAKD, LaSNN, Observed
from neurokd.distill.features import FeatureObjective, TapPair
from neurokd.distill.pairing import Pairing
from neurokd.errors import NeurokdError
from neurokd.models import build_model
from neurokd.spiking import to_spiking

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def student(name: str = "vgg-tiny") -> nn.Module:
    return to_spiking(build_model(name, (3, 32, 32), 5, width=2), timesteps=3)


def gelu_network() -> nn.Module:
    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.GELU(), nn.AvgPool2d(2), nn.Conv2d(6, 7, 3, padding=1), nn.GELU()]
    return nn.Sequential(
        *layers, nn.AvgPool2d(2), nn.Conv2d(7, 9, 3, padding=1), nn.GELU(), nn.Flatten(), nn.LazyLinear(5)
    )


TEACHERS = {
    "the same": lambda: build_model("vgg-tiny", (3, 32, 32), 5, width=2),
    "resnet18 of width 4": lambda: build_model("resnet18", (3, 32, 32), 5, width=4),
    "torchvision mobilenet_v2": lambda: torchvision.models.mobilenet_v2(num_classes=5),
    "torchvision resnet18": lambda: torchvision.models.resnet18(num_classes=5),
    "GELU": gelu_network,
}


def pair(ours: str, theirs: str) -> TapPair:
    return TapPair(student=ours, teacher=theirs)


def names(objective: FeatureObjective, ours: nn.Module, theirs: nn.Module) -> list[str]:
    return [shape.name for shape in Pairing(objective, ours, theirs, IMAGES).shapes]


def test_networks_of_one_architecture_are_compared_path_by_path() -> None:
    ours, theirs = student("resnet18"), build_model("resnet18", (3, 32, 32), 5, width=4)
    assert names(SAKD(), ours, theirs) == [f"blocks.{stage}_2.relu2" for stage in (1, 2, 3, 4)]
    assert len(names(SAKD(taps="blocks"), ours, theirs)) == 9
    assert names(BKDSNN(), ours, theirs) == ["blocks.4_2.relu2"]


def test_stages_that_differ_in_number_are_compared_at_the_resolutions_that_both_have() -> None:
    """vgg-tiny ends stages at 32, 16 and 8 pixels, the ResNet at 32, 16, 8 and 4."""
    theirs = build_model("resnet18", (3, 32, 32), 5, width=4)
    expected = [f"relu{stage} / blocks.{stage}_2.relu2" for stage in (1, 2, 3)]
    assert names(LaSNN(), student(), theirs) == expected


def test_the_last_feature_map_is_not_the_vector_behind_it() -> None:
    model = build_model("snn5", (3, 32, 32), 5, width=2)
    assert names(BKDSNN(), to_spiking(model), model) == ["relu5"]


def test_paths_and_pairs_of_paths_are_taken_as_they_are() -> None:
    theirs = build_model("resnet18", (3, 32, 32), 5, width=4)
    taps = ("conv1", pair("relu2", "blocks.2_1"))
    pairing = Pairing(SAKD(taps=taps), student(), theirs, IMAGES)
    assert [shape.name for shape in pairing.shapes] == ["conv1", "relu2 / blocks.2_1"]
    assert (pairing.shapes[1].student, pairing.shapes[1].teacher) == ((4, 16, 16), (8, 16, 16))


@pytest.mark.parametrize("position", ["after", "before"])
@pytest.mark.parametrize(
    ("teacher", "method"),
    [
        (teacher, method)
        for teacher in TEACHERS
        for method in (KDSNN, LaSNN, BKDSNN, SAKD)
        if (teacher, method) != ("torchvision mobilenet_v2", BKDSNN)  # 1280 channels: a generator that takes seconds
    ],
)
def test_every_method_learns_from_every_teacher(teacher: str, position: str, method: type[FeatureObjective]) -> None:
    """A loss comes out, and its gradient reaches the student and the adapters, not the teacher."""
    torch.manual_seed(0)
    ours, theirs = student(), TEACHERS[teacher]().eval()
    theirs(IMAGES)
    objective = method(position=position)
    pairing = Pairing(objective, ours, theirs, IMAGES)
    adapters = objective.adapters(pairing.shapes)
    q, z = theirs(IMAGES), ours(IMAGES)
    objective(Observed(z, torch.tensor([0, 4]), q.detach(), pairing.features()), adapters).loss.backward()
    assert all(parameter.grad is None for parameter in theirs.parameters())
    assert all(torch.isfinite(parameter.grad).all() for parameter in ours.parameters())
    assert ours.net.conv1.weight.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in (adapters.parameters() if adapters else []))


def test_no_network_keeps_a_hook_or_a_feature() -> None:
    ours, theirs = student(), build_model("vgg-tiny", (3, 32, 32), 5, width=2)
    pairing = Pairing(SAKD(), ours, theirs, IMAGES)
    ours(IMAGES), theirs(IMAGES)
    assert [pair.student.shape[:2] for pair in pairing.features()] == [(3, 2)] * 3
    pairing.close()
    assert not any(m._forward_hooks or m._forward_pre_hooks for net in (ours, theirs) for m in net.modules())


def mlp(*sizes: int) -> nn.Sequential:
    layers = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def test_vectors_are_compared_with_vectors() -> None:
    ours, theirs = to_spiking(mlp(3072, 8, 5)), mlp(3072, 12, 5)
    assert names(SAKD(), ours, theirs) == ["2"]
    (transform,) = SAKD().adapters(Pairing(SAKD(), ours, theirs, IMAGES).shapes)
    assert transform.change[0].weight.shape == (12, 8)


@pytest.mark.parametrize(
    ("objective", "ours", "theirs", "message"),
    [
        (SAKD(taps=("relu9",)), "vgg", "vgg", r"tap 'relu9': Sequential has no such module; nearest are 'relu3'"),
        (SAKD(taps=(pair("relu1", "layer5"),)), "vgg", "torchvision", r"tap 'layer5': ResNet .*'layer4'"),
        (SAKD(transform="norm"), "vgg", "vgg wide", r"relu1: the student has 2 channels, the teacher 3, and trans"),
        (SAKD(transform="none"), "vgg", "vgg wide", r"'none' changes none; use transform: conv"),
        (KDSNN(taps=(pair("relu1", "2"),)), "vgg", "mlp", r"shape \[2, 32, 32\], the teacher \[12\]; no adapter fits"),
        (LaSNN(taps=(pair("relu1", "2"),)), "vgg", "mlp", r"name taps that are both maps"),
        (BKDSNN(), "mlp", "mlp", r"bkdsnn needs maps"),
        (LaSNN(), "vgg", "mlp", r"differ in number and share no resolution; name pairs"),
        (LaSNN(), "vgg", "linear", r"taps 'stages': the teacher calls no activation module; name modules by path"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_names(
    objective: FeatureObjective, ours: str, theirs: str, message: str
) -> None:
    networks = {
        "vgg": TEACHERS["the same"],
        "vgg wide": lambda: build_model("vgg-tiny", (3, 32, 32), 5, width=3),
        "torchvision": TEACHERS["torchvision resnet18"],
        "mlp": lambda: mlp(3072, 12, 5),
        "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 5)),
    }
    both = to_spiking(networks[ours]()), networks[theirs]()
    with pytest.raises(NeurokdError, match=message) as caught:
        objective.adapters(Pairing(objective, *both, IMAGES).shapes)
    assert "\n" not in str(caught.value)
