"""TSER: temporal separation with entropy regularisation (Yu et al., CVPR 2025, arXiv 2503.03144)."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from neurokd.distill.objective import (
    Objective,
    Observed,
    Terms,
    cross_entropy_per_step,
    divergence,
    require_teacher,
)


def mean_entropy(student: torch.Tensor) -> torch.Tensor:
    """`mean_t mean_b H(softmax(z[t]))` in nats for logits `[T, B, C]`, TSER eq. 9."""
    log_p = F.log_softmax(student, dim=-1)
    return -(log_p.exp() * log_p).sum(dim=-1).mean()


class TSER(Objective):
    """Logit distillation separately at every step, with the student's entropy kept from collapsing.

    `L = (1 - a) mean_t CE(z[t], y) + a mean_t tau^2 KL(p_tau(q) || p_tau(z[t]))
    - entropy_weight mean_t H(softmax(z[t]))`, TSER eq. 8-11; `a` is `kd_weight`, `tau` is
    `temperature`; CE and H use temperature 1. `separate_ce: false` and `separate_kl: false` take that
    term on the mean of the logits instead, as the paper's ablation does.
    """

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = "TSER eq. 8-11, arXiv 2503.03144"

    name: Literal["tser"] = "tser"
    kd_weight: float = Field(default=0.5, ge=0.0, le=1.0)
    temperature: float = Field(default=5.0, gt=0.0)
    entropy_weight: float = Field(default=0.01, ge=0.0)
    separate_ce: bool = True
    separate_kl: bool = True

    def __call__(self, seen: Observed, adapters: nn.Module | None = None) -> Terms:
        """Loss of logits `[T, B, C]` against teacher logits `[B, C]`."""
        q = require_teacher(seen, self.name)
        mean = seen.logits.mean(dim=0)
        ce = cross_entropy_per_step(seen.logits if self.separate_ce else mean.unsqueeze(0), seen.labels)
        kl = divergence(q, seen.logits if self.separate_kl else mean, self.temperature)
        entropy = mean_entropy(seen.logits)
        weights = {"ce": 1.0 - self.kd_weight, "kl": self.kd_weight, "entropy": -self.entropy_weight}
        return Terms({"ce": ce, "kl": kl, "entropy": entropy}, weights)
