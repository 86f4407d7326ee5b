"""The losses on logits against numbers worked out by hand; T = 2 steps, B = 1 sample, C = 2 classes.

With logits (a, b) the softmax of two classes is 1 / (1 + e^(b - a)); all cases use
log-odds ln 3 (p = 3/4, 1/4) and 0 (p = 1/2, 1/2).
"""

import math

import pytest
import torch

from neurokd.distill import CE, HSD, KD, METHODS, TET, TSER, FeaturePair, Observed, Terms
from neurokd.distill.features import FeatureObjective
from neurokd.distill.objective import divergence
from neurokd.distill.tser import mean_entropy

LN2, LN3 = math.log(2), math.log(3)
STUDENT = torch.tensor([[[LN3, 0.0]], [[0.0, 0.0]]])  # step 1: (3/4, 1/4), step 2: (1/2, 1/2)
TEACHER = torch.tensor([[LN3, 0.0]])
LABEL = torch.tensor([0])
SEEN = Observed(STUDENT, LABEL, TEACHER)

CE_STEPS = (-math.log(0.75) + LN2) / 2
KL_STEP_2 = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)  # KL((3/4, 1/4) || (1/2, 1/2))
P_MEAN = math.sqrt(3.0) / (1 + math.sqrt(3.0))  # the mean of the log-odds is ln(3) / 2
CE_MEAN = -math.log(P_MEAN)
KL_MEAN = 0.75 * math.log(0.75 / P_MEAN) + 0.25 * math.log(0.25 / (1 - P_MEAN))
ENTROPY = (-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) + LN2) / 2


def test_ce_is_taken_on_the_mean_logits() -> None:
    assert float(CE()(Observed(STUDENT, LABEL)).loss) == pytest.approx(CE_MEAN)


def test_label_smoothing_spreads_a_share_of_the_label_over_all_classes() -> None:
    smoothed = 0.95 * CE_MEAN - 0.05 * math.log(1 - P_MEAN)  # (1 - 0.1) + 0.1 / 2 on the label, 0.1 / 2 on the other
    assert float(CE(label_smoothing=0.1)(SEEN).loss) == pytest.approx(smoothed, rel=1e-5)


def test_tet_takes_the_loss_at_every_step() -> None:
    assert float(TET()(Observed(STUDENT, LABEL)).loss) == pytest.approx(CE_STEPS, rel=1e-5)


def test_tet_pulls_every_logit_to_its_target() -> None:
    mse = ((LN3 - 0.5) ** 2 + 3 * 0.5**2) / 4  # logits ln 3, 0, 0, 0 against 1/2
    result = TET(mse_weight=0.2, mse_target=0.5)(SEEN)
    assert float(result.terms["mse"]) == pytest.approx(mse, rel=1e-5)
    assert float(result.loss) == pytest.approx(0.8 * CE_STEPS + 0.2 * mse, rel=1e-5)


def test_kd_by_hand() -> None:
    result = KD(kd_weight=0.25, temperature=1.0)(SEEN)
    assert float(result.terms["kl"]) == pytest.approx(KL_MEAN, rel=1e-5)
    assert float(result.loss) == pytest.approx(0.75 * CE_MEAN + 0.25 * KL_MEAN, rel=1e-5)


@pytest.mark.parametrize(("separate_ce", "ce"), [(True, CE_STEPS), (False, CE_MEAN)])
@pytest.mark.parametrize(("separate_kl", "kl"), [(True, KL_STEP_2 / 2), (False, KL_MEAN)])
def test_tser_by_hand(separate_ce: bool, ce: float, separate_kl: bool, kl: float) -> None:
    """Each term separated in time or not, as in the paper's ablation; the entropy always is."""
    method = TSER(
        kd_weight=0.4, temperature=1.0, entropy_weight=0.1, separate_ce=separate_ce, separate_kl=separate_kl
    )  # fmt: skip
    result = method(SEEN)
    assert float(result.terms["ce"]) == pytest.approx(ce, rel=1e-5)
    assert float(result.terms["kl"]) == pytest.approx(kl, rel=1e-5)
    assert float(result.terms["entropy"]) == pytest.approx(ENTROPY, rel=1e-5)
    assert float(result.loss) == pytest.approx(0.6 * ce + 0.4 * kl - 0.1 * ENTROPY, rel=1e-5)


@pytest.mark.parametrize(("step_wise", "kl"), [(True, KL_STEP_2 / 2), (False, KL_MEAN)])
def test_hsd_by_hand(step_wise: bool, kl: float) -> None:
    """The cross-entropy is on the mean either way: that is its difference from tser."""
    result = HSD(kd_weight=3.0, temperature=1.0, step_wise=step_wise)(SEEN)
    assert float(result.terms["kl"]) == pytest.approx(kl, rel=1e-5)
    assert float(result.loss) == pytest.approx(CE_MEAN + 3 * kl, rel=1e-5)


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
    """Two steps that err in opposite directions look right on average; only a loss at every step sees it."""
    seen = Observed(torch.tensor([[[4.0, 0.0]], [[-4.0, 0.0]]]), LABEL, torch.zeros(1, 2))
    assert float(KD(kd_weight=1.0)(seen).loss) == pytest.approx(0.0, abs=1e-6)
    assert float(TSER(kd_weight=1.0, entropy_weight=0.0)(seen).loss) > 0.1


def test_entropy_of_a_certain_student_is_zero() -> None:
    assert float(mean_entropy(torch.tensor([[[100.0, 0.0]]]))) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.needs_teacher])
def test_a_missing_teacher_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"method {name}: no teacher"):
        METHODS[name]()(Observed(STUDENT, LABEL))


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if issubclass(method, FeatureObjective)])
def test_missing_features_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"method {name}: no features"):
        METHODS[name]()(SEEN)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.needs_teacher])
def test_direct_training_ignores_a_teacher(name: str) -> None:
    method = METHODS[name]()
    with_teacher = Observed(STUDENT, LABEL, TEACHER, [FeaturePair("x", torch.ones(2, 1, 1), torch.ones(1, 1))], 3)
    assert torch.equal(method(with_teacher).loss, method(Observed(STUDENT, LABEL)).loss)


def test_a_term_of_weight_zero_is_left_out_whatever_its_value() -> None:
    terms = Terms({"a": torch.tensor(2.0), "b": torch.tensor(math.nan)}, {"a": 3.0, "b": 0.0})
    assert float(terms.loss) == 6.0
    assert terms.culprit() == "a"


@pytest.mark.parametrize(
    ("values", "culprit"),
    [((1.0, math.nan, -5.0), "b"), ((1.0, 2.0, 3.0), "c"), ((math.inf, math.nan, 0.0), "a"), ((-9.0, 1.0, 1.0), "a")],
)
def test_the_culprit_is_not_finite_or_the_most_negative(values: tuple[float, ...], culprit: str) -> None:
    """`c` has the weight -1: a large value of it makes the loss negative."""
    terms = Terms(dict(zip("abc", map(torch.tensor, values), strict=True)), {"a": 1.0, "b": 1.0, "c": -1.0})
    assert terms.culprit() == culprit
