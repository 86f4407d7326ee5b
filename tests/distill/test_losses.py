"""Every loss against numbers worked out by hand; T = 2 steps, B = 1 sample, C = 2 classes.

With logits (a, b) the softmax of two classes is 1 / (1 + e^(b - a)); all cases use
log-odds ln 3 (p = 3/4, 1/4) and 0 (p = 1/2, 1/2).
"""

import math

import pytest
import torch

from neurokd.distill import CE, KD, METHODS, TSER
from neurokd.distill.objective import divergence
from neurokd.distill.tser import mean_entropy

LN2, LN3 = math.log(2), math.log(3)
STUDENT = torch.tensor([[[LN3, 0.0]], [[0.0, 0.0]]])  # step 1: (3/4, 1/4), step 2: (1/2, 1/2)
TEACHER = torch.tensor([[LN3, 0.0]])
LABEL = torch.tensor([0])
KL_STEP_2 = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)  # KL((3/4, 1/4) || (1/2, 1/2))


def test_ce_is_taken_on_the_mean_logits() -> None:
    root = math.sqrt(3.0)  # mean log-odds ln(3) / 2, p = sqrt 3 / (1 + sqrt 3)
    assert float(CE()(STUDENT, LABEL).loss) == pytest.approx(-math.log(root / (1 + root)))


def test_kd_by_hand() -> None:
    root = math.sqrt(3.0)
    p = root / (1 + root)
    ce = -math.log(p)
    kl = 0.75 * math.log(0.75 / p) + 0.25 * math.log(0.25 / (1 - p))
    result = KD(kd_weight=0.25, temperature=1.0)(STUDENT, LABEL, TEACHER)
    assert float(result.terms["kl"]) == pytest.approx(kl, rel=1e-5)
    assert float(result.loss) == pytest.approx(0.75 * ce + 0.25 * kl, rel=1e-5)


def test_tser_by_hand() -> None:
    ce = (-math.log(0.75) + LN2) / 2
    kl = (0.0 + KL_STEP_2) / 2
    entropy = (-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) + LN2) / 2
    result = TSER(kd_weight=0.4, temperature=1.0, entropy_weight=0.1)(STUDENT, LABEL, TEACHER)
    assert float(result.terms["ce"]) == pytest.approx(ce, rel=1e-5)
    assert float(result.terms["kl"]) == pytest.approx(kl, rel=1e-5)
    assert float(result.terms["entropy"]) == pytest.approx(entropy, rel=1e-5)
    assert float(result.loss) == pytest.approx(0.6 * ce + 0.4 * kl - 0.1 * entropy, rel=1e-5)


def test_temperature_divides_logits_and_multiplies_by_its_square() -> None:
    """At tau = 2 the teacher's log-odds 2 ln 3 become ln 3, the student's stay 0; the loss carries 2^2."""
    student, teacher = torch.zeros(1, 1, 2), torch.tensor([[2 * LN3, 0.0]])
    assert float(divergence(teacher, student, 2.0)) == pytest.approx(4 * KL_STEP_2, rel=1e-5)


def test_divergence_is_pytorch_batchmean_at_each_step() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(3, 7, 5, generator=generator), torch.randn(7, 5, generator=generator)
    steps = [
        torch.nn.KLDivLoss(reduction="batchmean")((z / 3).log_softmax(-1), (teacher / 3).softmax(-1)) * 9
        for z in student
    ]
    torch.testing.assert_close(divergence(teacher, student, 3.0), torch.stack(steps).mean())


def test_separation_differs_from_the_mean() -> None:
    """Two steps that err in opposite directions look right on average; only TSER sees it."""
    opposite = torch.tensor([[[4.0, 0.0]], [[-4.0, 0.0]]])
    teacher = torch.zeros(1, 2)
    assert float(KD(kd_weight=1.0)(opposite, LABEL, teacher).loss) == pytest.approx(0.0, abs=1e-6)
    assert float(TSER(kd_weight=1.0, entropy_weight=0.0)(opposite, LABEL, teacher).loss) > 0.1


def test_entropy_of_a_certain_student_is_zero() -> None:
    assert float(mean_entropy(torch.tensor([[[100.0, 0.0]]]))) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.needs_teacher])
def test_a_missing_teacher_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"method {name}: no teacher"):
        METHODS[name]()(STUDENT, LABEL, None)


def test_no_gradient_reaches_the_teacher_through_its_logits_alone() -> None:
    student = STUDENT.clone().requires_grad_()
    TSER()(student, LABEL, TEACHER).loss.backward()
    assert student.grad is not None and torch.isfinite(student.grad).all() and student.grad.abs().sum() > 0
