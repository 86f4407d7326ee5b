"""A teacher without batch normalisation gives the same answers; one that cannot be folded stays as it is."""

import copy

import pytest
import torch
from torch import nn

from neurokd.conversion import to_qcfs
from neurokd.distill import SAKD, TSER
from neurokd.distiller import Distiller
from neurokd.folding import folded
from neurokd.models import build_model
from neurokd.neurons import LIF
from neurokd.recipe import TrainingConfig
from neurokd.spiking import to_spiking

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def network(name: str) -> nn.Module:
    """A network whose statistics are those of some images."""
    torch.manual_seed(0)
    model = build_model(name, (3, 32, 32), 10, width=4)
    model(torch.rand(16, 3, 32, 32) * 3)
    return model.eval()


def norms(model: nn.Module) -> int:
    """How many layers of batch normalisation there are."""
    return sum(isinstance(module, NORMS) for module in model.modules())


@pytest.mark.parametrize("name", ["vgg-tiny", "resnet18", "vgg11"])
def test_the_answers_are_the_same(name: str) -> None:
    model = network(name)
    before = copy.deepcopy(model.state_dict())
    without = folded(model, IMAGES)
    assert norms(without) == 0 < norms(model)
    assert torch.allclose(without(IMAGES), model(IMAGES), atol=1e-5)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_a_network_over_qcfs_answers_the_same() -> None:
    model = to_qcfs(network("vgg-tiny"), levels=4, threshold=2.0).eval()
    assert torch.equal(folded(model, IMAGES)(IMAGES).argmax(dim=1), model(IMAGES).argmax(dim=1))


class Branching(nn.Module):
    """What it does depends on what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 900, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x) if x.sum() > 0 else self.net(-x)  # type: ignore[no-any-return]


def test_a_network_that_cannot_be_traced_stays_as_it_is() -> None:
    model = Branching().eval()
    assert folded(model, IMAGES) is model


class Shared(nn.Module):
    """One convolution before two normalisations: folding either into it would change the other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.two.running_mean.fill_(3.0)  # type: ignore[union-attr]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.one(self.conv(x)) + self.two(self.conv(x))).mean(dim=(2, 3))


def test_a_shared_convolution_is_not_changed() -> None:
    model = Shared().eval()
    assert torch.allclose(folded(model, IMAGES)(IMAGES), model(IMAGES), atol=1e-5)


def test_only_teachers_whose_features_are_not_tapped_are_folded() -> None:
    for objective, expected in ((TSER(), 0), (SAKD(), norms(network("vgg-tiny")))):
        student = to_spiking(network("vgg-tiny"), LIF(), 2)
        module = Distiller(student, objective, TrainingConfig(), teacher=network("vgg-tiny"), sample=IMAGES[:2])
        assert norms(module.frozen[0]) == expected
        module.on_fit_end()
