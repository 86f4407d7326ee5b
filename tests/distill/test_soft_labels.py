"""Every method takes labels that are shares of the classes, as mixed samples have; T = 2 steps, C = 2 classes."""

import math

import pytest
import torch

from neurokd.distill import CE, METHODS, TET, TSER, FeaturePair, Observed
from neurokd.distill.features import FeatureObjective, ShapePair
from neurokd.distill.objective import cross_entropy_per_step

LN3 = math.log(3)
LOGITS = torch.tensor([[[LN3, 0.0]] * 2, [[0.0, 0.0]] * 2])  # two samples: (3/4, 1/4), then (1/2, 1/2)
TEACHER = torch.tensor([[LN3, 0.0], [0.0, LN3]])
SOFT = torch.tensor([[0.2, 0.8], [1.0, 0.0]])
STEP_1 = (-0.2 * math.log(0.75) - 0.8 * math.log(0.25) - math.log(0.75)) / 2  # mean of the two samples
STEP_2 = math.log(2)


def loss(name: str, labels: torch.Tensor) -> torch.Tensor:
    """The loss of a method with its defaults on fixed logits and features."""
    objective, adapters = METHODS[name](), None
    torch.manual_seed(0)
    if isinstance(objective, FeatureObjective):
        adapters = objective.adapters([ShapePair("tap", (3, 4, 4), (3, 4, 4))])
    features = [FeaturePair("tap", torch.rand(2, 2, 3, 4, 4), torch.rand(2, 3, 4, 4))]
    return objective(Observed(LOGITS, labels, TEACHER, features), adapters).loss


def test_the_loss_at_every_step_by_hand() -> None:
    assert float(cross_entropy_per_step(LOGITS, SOFT)) == pytest.approx((STEP_1 + STEP_2) / 2, rel=1e-6)
    assert float(TET()(Observed(LOGITS, SOFT)).loss) == pytest.approx((STEP_1 + STEP_2) / 2, rel=1e-6)
    separate = TSER(kd_weight=0.0, entropy_weight=0.0)(Observed(LOGITS, SOFT, TEACHER)).loss
    assert float(separate) == pytest.approx((STEP_1 + STEP_2) / 2, rel=1e-6)


def test_label_smoothing_spreads_a_share_of_a_soft_label() -> None:
    """Smoothing by 0.1 turns (0.2, 0.8) into (0.23, 0.77) and (1, 0) into (0.95, 0.05)."""
    smoothed = torch.tensor([[0.23, 0.77], [0.95, 0.05]])
    first = CE(label_smoothing=0.1)(Observed(LOGITS, SOFT)).loss
    torch.testing.assert_close(first, CE()(Observed(LOGITS, smoothed)).loss)


@pytest.mark.parametrize("name", METHODS)
def test_a_whole_label_is_the_same_as_its_number(name: str) -> None:
    torch.testing.assert_close(loss(name, torch.eye(2)[[1, 0]]), loss(name, torch.tensor([1, 0])))


@pytest.mark.parametrize("name", METHODS)
def test_a_loss_is_linear_in_the_label(name: str) -> None:
    """Both samples 1/4 of class 0 and 3/4 of class 1: so are the losses of the two whole labels mixed."""
    whole = [loss(name, torch.tensor([number, number])) for number in (0, 1)]
    torch.testing.assert_close(loss(name, torch.tensor([[0.25, 0.75]] * 2)), 0.25 * whole[0] + 0.75 * whole[1])
