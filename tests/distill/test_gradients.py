"""Losses and their gradients against formulas written in NumPy, differentiated numerically in float64.

T = 3 steps, B = 4 samples, C = 5 classes, and features at two taps: other channels at the first, another
resolution at the second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from neurokd.distill import BKDSNN, CE, HSD, KD, KDSNN, SAKD, TET, TSER, FeaturePair, LaSNN, Objective, Observed
from neurokd.distill.features import FeatureObjective, ShapePair

Array = np.ndarray[Any, np.dtype[np.float64]]
STEP, DIRECTIONS = 1e-6, 12
SEED = 3

RANDOM = np.random.default_rng(0)
LOGITS, TEACHER = RANDOM.normal(size=(3, 4, 5)), RANDOM.normal(size=(4, 5)) * 2
LABELS = np.array([0, 3, 4, 3])


@dataclass
class Case:
    """A batch, and the weights of the adapters by name."""

    z: Array
    student: list[Array]
    teacher: list[Array]
    weights: dict[str, Array]
    scale: list[float]  # of bkdsnn: a constant, through which no gradient flows


def log_softmax(x: Array) -> Array:
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def cross_entropy(z: Array, labels: Array = LABELS) -> float:
    """Mean over everything but the classes."""
    return float(-np.mean(np.take_along_axis(log_softmax(z), np.broadcast_to(labels, z.shape[:-1])[..., None], -1)))


def kl(z: Array, tau: float) -> float:
    p = np.exp(log_softmax(TEACHER / tau))
    return float(tau**2 * np.mean((p * np.log(p) - p * log_softmax(z / tau)).sum(-1)))


def entropy(z: Array) -> float:
    return float(-np.mean((np.exp(log_softmax(z)) * log_softmax(z)).sum(-1)))


def halved(x: Array) -> Array:
    """2x2 average pooling of `[B, C, H, W]`."""
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def rates(case: Case) -> list[tuple[Array, Array]]:
    """Features averaged over T, and the teacher's, at the lower of their resolutions."""
    pairs = [(sum(s) / len(s), t) for s, t in zip(case.student, case.teacher, strict=True)]
    return [
        (halved(s) if s.shape[-1] > t.shape[-1] else s, halved(t) if t.shape[-1] > s.shape[-1] else t) for s, t in pairs
    ]


def convolved(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Convolution with stride 1 that keeps the size, for kernels of one side."""
    reach = weight.shape[-1] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    height, width = x.shape[2:]
    y = sum(
        np.einsum("bchw,oc->bohw", padded[:, :, i : i + height, j : j + width], weight[:, :, i, j])
        for i in range(weight.shape[2])
        for j in range(weight.shape[3])
    )
    return y if bias is None else y + bias[:, None, None]


def normalised(x: Array, scale: Array, shift: Array) -> Array:
    """BN with the statistics of the batch."""
    mean, variance = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * scale[:, None, None] + shift[:, None, None]


def transformed(case: Case, tap: int, s: Array) -> Array:
    """SAKD's transform with whatever layers the adapter of this tap has."""
    w = {name.removeprefix(f"{tap}.change."): value for name, value in case.weights.items() if name[0] == str(tap)}
    if "0.weight" in w:
        return normalised(convolved(s, w["0.weight"]), w["1.weight"], w["1.bias"])
    return normalised(s, w["weight"], w["bias"]) if "weight" in w else s


def unit(x: Array) -> Array:
    flat = x.reshape(len(x), -1)
    return flat / np.sqrt((flat**2).sum(1, keepdims=True))


DISTANCES: dict[str, Callable[[Array, Array], float]] = {
    "l2": lambda s, t: float(((s - t) ** 2).mean()),
    "l1": lambda s, t: float(abs(s - t).mean()),
    "normalised": lambda s, t: float((2 - 2 * (unit(s) * unit(t)).sum(1)).mean()),  # |a - b|^2 of unit vectors
}


def ce(case: Case, m: CE) -> float:
    smooth = -log_softmax(case.z.mean(0)).mean()
    return float((1 - m.label_smoothing) * cross_entropy(case.z.mean(0)) + m.label_smoothing * smooth)


def tet(case: Case, m: TET) -> float:
    return float((1 - m.mse_weight) * cross_entropy(case.z) + m.mse_weight * ((case.z - m.mse_target) ** 2).mean())


def kd(case: Case, m: KD) -> float:
    return (1 - m.kd_weight) * cross_entropy(case.z.mean(0)) + m.kd_weight * kl(case.z.mean(0), m.temperature)


def kdsnn(case: Case, m: KDSNN) -> float:
    soft = kl(case.z.mean(0), m.temperature) + m.temperature**2 * entropy(TEACHER / m.temperature)
    features = [DISTANCES["l2"](transformed(case, tap, s), t) for tap, (s, t) in enumerate(rates(case))]
    logits = (1 - m.kd_weight) * cross_entropy(case.z.mean(0)) + m.kd_weight * soft
    return logits + m.feature_weight * sum(features) / len(features)


def lasnn(case: Case, m: LaSNN) -> float:
    gaps = [np.sqrt(((unit((s**2).sum(1)) - unit((t**2).sum(1))) ** 2).sum(1)).mean() for s, t in rates(case)]
    return cross_entropy(case.z.mean(0)) + m.attention_weight * float(sum(gaps))


def bkdsnn(case: Case, m: BKDSNN) -> float:
    torch.manual_seed(SEED)
    total = 0.0
    for tap, ((s, t), scale) in enumerate(zip(rates(case), case.scale, strict=True)):
        w = {name[2:]: value for name, value in case.weights.items() if name[0] == str(tap)}
        aligned = convolved(s, w["align.weight"], w["align.bias"]) if "align.weight" in w else s
        b, c, height, width = aligned.shape
        drawn = torch.rand((b, c, 1, 1) if m.mask == "channel" else (b, 1, height, width)).numpy()
        hidden = convolved(np.where(drawn < m.mask_ratio, 0, aligned), w["restore.0.weight"], w["restore.0.bias"])
        restored = convolved(np.maximum(hidden, 0), w["restore.2.weight"], w["restore.2.bias"])
        total += ((restored - scale * t) ** 2).sum() / b
    return cross_entropy(case.z.mean(0)) + m.kd_weight * kl(case.z.mean(0), m.temperature) + m.feature_weight * total


def sakd(case: Case, m: SAKD) -> float:
    gaps = [DISTANCES[m.distance](transformed(case, tap, s), t) for tap, (s, t) in enumerate(rates(case))]
    logits = m.ce_weight * cross_entropy(case.z.mean(0)) + m.logit_weight * kl(case.z.mean(0), m.temperature)
    return logits + m.feature_weight * sum(gaps) / len(gaps)


def tser(case: Case, m: TSER) -> float:
    for_ce, for_kl = (case.z if separate else case.z.mean(0) for separate in (m.separate_ce, m.separate_kl))
    separation = (1 - m.kd_weight) * cross_entropy(for_ce) + m.kd_weight * kl(for_kl, m.temperature)
    return separation - m.entropy_weight * entropy(case.z)


def hsd(case: Case, m: HSD) -> float:
    steps = list(case.z) if m.step_wise else [case.z.mean(0)]
    return cross_entropy(case.z.mean(0)) + m.kd_weight * sum(kl(z, m.temperature) for z in steps) / len(steps)


FORMULAS: dict[str, Callable[[Case, Any], float]] = {
    "ce": ce, "tet": tet, "kd": kd, "kdsnn": kdsnn, "lasnn": lasnn, "bkdsnn": bkdsnn, "sakd": sakd, "tser": tser,
    "hsd": hsd,
}  # fmt: skip

METHODS: list[Objective] = [
    CE(label_smoothing=0.2),
    TET(mse_weight=0.3, mse_target=0.7),
    KD(kd_weight=0.3, temperature=2.0),
    KDSNN(kd_weight=0.3, temperature=2.0, feature_weight=4.0),
    LaSNN(attention_weight=2.0),
    *(BKDSNN(feature_weight=0.02, mask=mask, mask_ratio=0.4) for mask in ("channel", "position")),
    BKDSNN(feature_weight=0.02, rescale_teacher=False, kd_weight=0.0),
    *(
        SAKD(ce_weight=0.5, temperature=3.0, feature_weight=2.0, transform=transform, distance=distance)
        for transform in ("conv", "norm", "none")
        for distance in ("l2", "l1", "normalised")
    ),
    *(
        TSER(kd_weight=0.3, temperature=2.0, entropy_weight=0.2, separate_ce=separate_ce, separate_kl=separate_kl)
        for separate_ce in (True, False)
        for separate_kl in (True, False)
    ),
    *(HSD(kd_weight=0.7, temperature=3.0, step_wise=step_wise) for step_wise in (True, False)),
]


def features(method: Objective) -> tuple[list[Array], list[Array]]:
    """The student's and the teacher's; the first tap of the student is a current that does not change over T."""
    channels = 2 if isinstance(method, SAKD) and method.transform != "conv" else 3
    student = [
        np.random.default_rng(1).uniform(0.1, 1, (1, 4, 2, 4, 4)),
        np.random.default_rng(2).random((3, 4, 3, 4, 4)),
    ]
    return student, [RANDOM.uniform(0.1, 2, (4, channels, 4, 4)), RANDOM.uniform(0.1, 2, (4, 3, 2, 2))]


def slope(loss: Callable[[], float], at: Array, direction: Array) -> float:
    """Central difference of `loss`, which reads `at`, in a direction that moves every element of it."""
    start = at.copy()
    at[...] = start + STEP * direction
    above = loss()
    at[...] = start - STEP * direction
    below = loss()
    at[...] = start
    return (above - below) / (2 * STEP)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_loss_and_gradients(method: Objective) -> None:
    student, teacher = features(method) if isinstance(method, FeatureObjective) else ([], [])
    adapters, weights = None, {}
    if isinstance(method, FeatureObjective):
        pairs = zip(student, teacher, strict=True)
        adapters = method.adapters([ShapePair("tap", s.shape[2:], t.shape[1:]) for s, t in pairs])
        for parameter in adapters.parameters() if adapters else []:
            torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(parameter.numel()))
        adapters = adapters and adapters.double()
        weights = {name: p.detach().numpy() for name, p in adapters.named_parameters()} if adapters else {}
    case = Case(LOGITS.copy(), student, teacher, weights, [])
    rescaled = isinstance(method, BKDSNN) and method.rescale_teacher
    case.scale = [s.max() / t.max() if rescaled else 1.0 for s, t in rates(case)]
    z, *inputs = (torch.tensor(x, requires_grad=True) for x in (case.z, *student))
    seen = Observed(
        z, torch.tensor(LABELS), torch.tensor(TEACHER),
        [FeaturePair("tap", s, torch.tensor(t)) for s, t in zip(inputs, teacher, strict=True)],
    )  # fmt: skip
    torch.manual_seed(SEED)
    loss = method(seen, adapters).loss
    loss.backward()
    formula = FORMULAS[method.name]
    assert loss.item() == pytest.approx(formula(case, method), rel=1e-9)
    for ours, theirs in zip((z, *inputs), (case.z, *student), strict=True):
        directions = np.random.default_rng(5).normal(size=(DIRECTIONS, *theirs.shape))
        expected = [slope(lambda: formula(case, method), theirs, direction) for direction in directions]
        assert np.abs(expected).max() > 1e-3
        along = [float((ours.grad.numpy() * direction).sum()) for direction in directions]
        np.testing.assert_allclose(along, expected, rtol=1e-5, atol=1e-7)
