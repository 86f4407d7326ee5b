"""Training steps of every method, and what is said where teacher and student do not fit or a loss is spoilt."""

import copy
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from neurokd.conversion import convert, to_qcfs
from neurokd.distill import BKDSNN, CE, HSD, KD, METHODS, SAKD, TSER, Objective
from neurokd.distill.features import FeatureObjective
from neurokd.distiller import Distiller, _schedule
from neurokd.errors import NeurokdError
from neurokd.models import build_model
from neurokd.recipe import TrainingConfig
from neurokd.spiking import to_spiking

IMAGES = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 3
SAMPLE = IMAGES[:2] / 255


def network(name: str = "vgg-tiny", width: int = 4, classes: int = 3) -> nn.Module:
    torch.manual_seed(width)
    return build_model(name, (1, 8, 8), classes, width=width)


def distiller(objective: Objective, student: nn.Module | None = None, teacher: nn.Module | None = None) -> Distiller:
    """A module whose steps can be taken without a trainer."""
    student = student or to_spiking(network(), timesteps=2)
    teacher = teacher or network(width=6)
    module = Distiller(student, objective, TrainingConfig(), seed=1, teacher=teacher, sample=SAMPLE)
    module.log = module.log_dict = lambda *_, **__: None
    return module


def losses(module: Distiller, steps: int) -> list[float]:
    """Losses of steps on one batch; a mask is drawn anew in each."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    values = []
    for index in range(steps):
        loss = module.training_step((IMAGES, LABELS), index)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    return values


@pytest.mark.parametrize("name", METHODS)
def test_the_loss_of_every_method_falls_in_a_few_steps(name: str) -> None:
    values = losses(distiller(METHODS[name]()), 12)
    assert max(values[-3:]) < min(values[:3])


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].needs_teacher])
def test_a_teacher_of_another_architecture_teaches_too(name: str) -> None:
    """Its ReLUs are called twice each, its maps have other channels and other resolutions."""
    teacher = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=3)
    teacher.conv1, teacher.maxpool = nn.Conv2d(1, 64, 3, padding=1, bias=False), nn.Identity()
    taps = {"taps": "stages"} if issubclass(METHODS[name], FeatureObjective) and name != "bkdsnn" else {}
    values = losses(distiller(METHODS[name](**taps), teacher=teacher), 2)
    assert all(value > 0 for value in values)


def test_a_converted_student_learns_from_its_qcfs_teacher() -> None:
    teacher = to_qcfs(network(), levels=4, threshold=2.0)
    for objective in (HSD(), SAKD(), BKDSNN()):
        module = distiller(objective, convert(teacher, timesteps=4), copy.deepcopy(teacher))
        assert losses(module, 3)[-1] > 0
        assert module.student.net.relu1.threshold.item() != 2.0  # it is trained


def test_the_teacher_is_frozen_and_the_student_is_not() -> None:
    teacher = network(width=6).train()
    module = distiller(SAKD(), teacher=teacher)
    before = copy.deepcopy(teacher.state_dict())
    statistics = module.student.net.bn1.running_mean.clone()
    losses(module, 2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert module.student.training and not torch.equal(module.student.net.bn1.running_mean, statistics)
    assert not any("teacher" in name or "frozen" in name for name in module.state_dict())


def test_adapters_are_trained_and_kept_with_the_student() -> None:
    module = distiller(SAKD())
    before = [p.detach().clone() for p in module.adapters.parameters()]
    losses(module, 2)
    assert all((p != old).any() for p, old in zip(module.adapters.parameters(), before, strict=True))
    assert any(name.startswith("adapters.") for name in module.state_dict())


def test_adapters_follow_the_seed() -> None:
    first, second = (distiller(SAKD()).adapters.state_dict() for _ in range(2))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_no_feature_outlives_its_step() -> None:
    module = distiller(SAKD())
    losses(module, 1)
    assert not module.pairing._student._kept and not module.pairing._teacher._kept


def test_different_numbers_of_classes_are_refused() -> None:
    with pytest.raises(NeurokdError, match="the teacher has 5 classes, the student 3; give both the same"):
        distiller(KD(), teacher=network(classes=5))


def test_a_divergence_that_rounds_below_zero_is_no_reason_to_stop() -> None:
    """A student that has become its teacher: the sum of p (log p - log q) is 0 but for rounding, times 20^2."""
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    values = []
    for _ in range(40):
        student = copy.deepcopy(teacher)
        nn.init.normal_(student[1].bias, std=1e-4).data.add_(teacher[1].bias)
        module = distiller(KD(kd_weight=1.0, temperature=20.0), student, teacher)
        values.append(module.training_step((IMAGES, LABELS), 0).item())
    assert -1e-3 < min(values) < 0.0 and max(values) < 1e-3


@pytest.mark.parametrize(
    ("objective", "term"),
    [(TSER(entropy_weight=50.0), "entropy"), (SAKD(feature_weight=1e300), "feature"), (HSD(kd_weight=1e300), "kl")],
)
def test_a_spoilt_loss_names_its_term_and_its_place(objective: Objective, term: str) -> None:
    with pytest.raises(NeurokdError) as caught:
        distiller(objective).training_step((IMAGES, LABELS), 7)
    message = str(caught.value)
    assert "\n" not in message and f"because of '{term}'" in message
    assert message.startswith("training: the loss is ") and "at epoch 0, batch 7, step 0" in message
    assert f" x {term} " in message and message.endswith("no epoch was complete")


def test_a_student_that_diverged_is_named_by_its_cross_entropy() -> None:
    student: Any = to_spiking(network(), timesteps=2)
    nn.init.constant_(student.net.classifier.weight, float("nan"))
    with pytest.raises(NeurokdError, match=r"the loss is nan at .* because of 'ce' \(1 x ce nan\)"):
        distiller(CE(), student).training_step((IMAGES, LABELS), 0)


@pytest.mark.parametrize("steps", range(1, 12))
def test_one_cycle_takes_any_number_of_steps(steps: int) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = _schedule(optimizer, TrainingConfig(lr=0.5), steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < steps:
            schedule.step()
    assert all(0.0 < rate <= 0.5 + 1e-9 for rate in rates)
