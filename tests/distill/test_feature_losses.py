"""The losses on features against numbers worked out by hand; T = 2 steps, B = 1 sample."""

import math

import pytest
import torch
from torch import nn

from neurokd.distill import BKDSNN, KDSNN, SAKD, FeaturePair, LaSNN, Observed
from neurokd.distill.features import ShapePair, same_resolution
from neurokd.distill.kdsnn import soft_cross_entropy
from neurokd.distill.lasnn import attention
from neurokd.distill.objective import divergence
from neurokd.distill.sakd import normalised_distance

LOGITS, LABEL = torch.tensor([[[math.log(3), 0.0]]] * 2), torch.tensor([0])  # p = (3/4, 1/4) at both steps
CE = -math.log(0.75)
ENTROPY = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))


def feature(*steps: list[float]) -> torch.Tensor:
    """Spikes `[T, 1, 1, 1, 2]` of one channel at two positions."""
    return torch.tensor(steps).reshape(len(steps), 1, 1, 1, -1)


def seen(student: torch.Tensor, teacher: torch.Tensor, epoch: int = 0) -> Observed:
    """A batch whose logits agree with the teacher's."""
    return Observed(LOGITS, LABEL, LOGITS[0], [FeaturePair("tap", student, teacher)], epoch)


RATES = feature([1.0, 1.0], [1.0, 0.0])  # rates (1, 1/2)


def test_lasnn_by_hand() -> None:
    """The student fires at the first position alone, A = (1, 0); the teacher has Q = (3, 4), A = (3, 4) / 5."""
    teacher = torch.tensor([[1.0, 1.0], [math.sqrt(2), math.sqrt(3)]]).reshape(1, 2, 1, 2)
    result = LaSNN(attention_weight=2.0)(seen(feature([1.0, 0.0], [0.0, 0.0]), teacher))
    assert float(result.terms["attention"]) == pytest.approx(math.sqrt(0.4**2 + 0.8**2), rel=1e-6)
    assert float(result.loss) == pytest.approx(CE + 2 * math.sqrt(0.8), rel=1e-6)


def test_attention_of_a_vector_is_its_energy() -> None:
    torch.testing.assert_close(attention(torch.tensor([[math.sqrt(3), 2.0]])), torch.tensor([[0.6, 0.8]]))


def test_a_silent_student_has_no_attention_and_finite_gradients() -> None:
    silent = torch.zeros(2, 1, 1, 1, 2, requires_grad=True)
    result = LaSNN()(seen(silent, torch.ones(1, 1, 1, 2)))
    result.loss.backward()
    assert result.terms["attention"].item() == pytest.approx(1.0)  # ||0 - A|| with ||A|| = 1
    assert silent.grad is not None and torch.isfinite(silent.grad).all()


def test_kdsnn_by_hand() -> None:
    result = KDSNN(kd_weight=0.25, temperature=1.0, feature_weight=2.0)(seen(RATES, feature([0.0, 1.0])[0]))
    assert float(result.terms["soft_ce"]) == pytest.approx(ENTROPY, rel=1e-6)  # the student has the teacher's p
    assert float(result.terms["feature"]) == pytest.approx((1.0 + 0.25) / 2, rel=1e-6)
    assert float(result.loss) == pytest.approx(0.75 * CE + 0.25 * ENTROPY + 2 * 0.625, rel=1e-6)


def test_soft_cross_entropy_is_the_divergence_plus_the_entropy_of_the_teacher() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    p = (teacher / 3).softmax(-1)
    entropy = -(p * p.log()).sum(-1).mean()
    expected = divergence(teacher, student, 3.0) + 9 * entropy
    torch.testing.assert_close(soft_cross_entropy(teacher, student, 3.0), expected)


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        ("l2", (1.0 + 0.25) / 2),
        ("l1", (1.0 + 0.5) / 2),
        ("normalised", (2 / math.sqrt(5)) ** 2 + (1 / math.sqrt(5) - 1) ** 2),  # (2, 1) / sqrt 5 against (0, 1)
    ],
)
def test_sakd_by_hand(distance: str, expected: float) -> None:
    method = SAKD(distance=distance, transform="none", ce_weight=0.5, logit_weight=0.0, feature_weight=3.0)
    result = method(seen(RATES, feature([0.0, 1.0])[0]))
    assert float(result.terms["feature"]) == pytest.approx(expected, rel=1e-6)
    assert float(result.loss) == pytest.approx(0.5 * CE + 3 * expected, rel=1e-6)


def test_the_weight_of_sakd_follows_the_epoch() -> None:
    method = SAKD(transform="none", feature_weight=10.0, feature_weight_from={5: 0.0, 2: 1.0})
    weights = {epoch: method(seen(RATES, feature([0.0, 1.0])[0], epoch)).weights["feature"] for epoch in range(7)}
    assert weights == {0: 10.0, 1: 10.0, 2: 1.0, 3: 1.0, 4: 1.0, 5: 0.0, 6: 0.0}


def test_sakd_without_any_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="all 0"):
        SAKD(logit_weight=0.0, feature_weight=0.0)
    with pytest.raises(ValueError, match="all 0"):
        SAKD(logit_weight=0.0, feature_weight_from={3: 0.0})
    assert SAKD(logit_weight=0.0, ce_weight=1.0, feature_weight=0.0).weight_at(0) == 0.0


def test_features_are_averaged_over_the_steps_before_the_transform() -> None:
    """BN scales by the spread over the batch: the spread of rates is not the mean of the spreads of spikes."""
    spikes = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).reshape(2, 2, 1)  # rates of two samples: 1/2 and 0
    method = SAKD(transform="norm", logit_weight=0.0)
    adapters = method.adapters([ShapePair("tap", (1,), (1,))])
    batch = Observed(LOGITS.repeat(1, 2, 1), LABEL.repeat(2), LOGITS[0].repeat(2, 1), epoch=0)
    pairs = [FeaturePair("tap", spikes, torch.zeros(2, 1))]
    result = method(Observed(batch.logits, batch.labels, batch.teacher, pairs), adapters)
    normalised = 0.25**2 / (0.25**2 + 1e-5)  # (x - mean)^2 / (variance + eps) for 1/2 and 0
    assert float(result.terms["feature"]) == pytest.approx(normalised, rel=1e-5)


def test_a_constant_current_has_one_step() -> None:
    """Before the first neuron nothing changes over the steps; its feature `[1, B, ...]` is its own average."""
    method = SAKD(transform="none", logit_weight=0.0, feature_weight=1.0)
    steps, once = (method(seen(feature([2.0, 0.5]).repeat(n, 1, 1, 1, 1), feature([0.0, 1.0])[0])) for n in (4, 1))
    assert float(steps.loss) == pytest.approx(float(once.loss)) == pytest.approx((4.0 + 0.25) / 2)


def test_a_silent_student_keeps_a_finite_gradient_at_a_normalised_distance() -> None:
    silent = torch.zeros(1, 8, requires_grad=True)
    distance = normalised_distance(silent, torch.ones(1, 8))
    distance.backward()
    assert distance.item() == pytest.approx(1.0)
    assert silent.grad is not None and 0 < silent.grad.norm() <= 200  # 2 / SILENT


def identity(restorer: nn.Module) -> None:
    """Make a generator that gives back what it gets: its kernels pass on their centre."""
    for layer in restorer.restore:
        if isinstance(layer, nn.Conv2d):
            nn.init.dirac_(layer.weight)
            nn.init.zeros_(layer.bias)


@pytest.mark.parametrize(("rescale", "distance"), [(True, 0.5**2 + 0.5**2), (False, 1.0**2 + 3.5**2)])
def test_bkdsnn_by_hand(rescale: bool, distance: float) -> None:
    """Rates (1, 1/2) against (2, 4): brought to the student's maximum 1 the teacher is (1/2, 1)."""
    method = BKDSNN(mask_ratio=0.0, feature_weight=0.1, kd_weight=4.0, rescale_teacher=rescale)
    adapters = method.adapters([ShapePair("tap", (1, 1, 2), (1, 1, 2))])
    identity(adapters[0])
    result = method(seen(RATES, feature([2.0, 4.0])[0]), adapters)
    assert float(result.terms["feature"]) == pytest.approx(distance, rel=1e-6)
    assert float(result.terms["kl"]) == pytest.approx(0.0, abs=1e-6)
    assert float(result.loss) == pytest.approx(CE + 0.1 * distance, rel=1e-6)


def test_bkdsnn_without_its_generators_says_so() -> None:
    with pytest.raises(ValueError, match="no generators"):
        BKDSNN()(seen(RATES, RATES[0]))


@pytest.mark.parametrize(("ours", "theirs", "both"), [((4, 4), (2, 2), (2, 2)), ((2, 8), (4, 4), (2, 4))])
def test_the_larger_of_two_maps_is_averaged_down(
    ours: tuple[int, int], theirs: tuple[int, int], both: tuple[int, int]
) -> None:
    student, teacher = torch.rand(1, 3, *ours), torch.rand(1, 5, *theirs)
    small = same_resolution(student, teacher)
    assert small[0].shape[2:] == small[1].shape[2:] == both
    for map_, reduced in zip((student, teacher), small, strict=True):
        torch.testing.assert_close(reduced.mean(dim=(2, 3)), map_.mean(dim=(2, 3)))
