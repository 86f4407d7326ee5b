"""TSER: temporal separation with entropy regularisation (Yu et al., CVPR 2025, arXiv 2503.03144)."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field

from neurokd.distill.objective import Objective, Terms, cross_entropy_per_step, divergence, require_teacher


def mean_entropy(student: torch.Tensor) -> torch.Tensor:
    """`mean_t mean_b H(softmax(z[t]))` in nats for logits `[T, B, C]`, TSER eq. 9."""
    log_p = F.log_softmax(student, dim=-1)
    return -(log_p.exp() * log_p).sum(dim=-1).mean()


class TSER(Objective):
    """Logit distillation separately at every step, with the student's entropy kept from collapsing.

    `L = (1 - a) mean_t CE(z[t], y) + a mean_t tau^2 KL(p_tau(q) || p_tau(z[t]))
    - entropy_weight mean_t H(softmax(z[t]))`, TSER eq. 8-11; `a` is `kd_weight`, `tau` is
    `temperature`; CE and H use temperature 1.
    """

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = "TSER eq. 8-11, arXiv 2503.03144"

    name: Literal["tser"] = "tser"
    kd_weight: float = Field(default=0.5, ge=0.0, le=1.0)
    temperature: float = Field(default=5.0, gt=0.0)
    entropy_weight: float = Field(default=0.01, ge=0.0)

    def __call__(self, student: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None = None) -> Terms:
        """Loss of logits `[T, B, C]` against teacher logits `[B, C]`."""
        q = require_teacher(teacher, self.name)
        ce = cross_entropy_per_step(student, labels)
        kl = divergence(q, student, self.temperature)
        entropy = mean_entropy(student)
        loss = (1.0 - self.kd_weight) * ce + self.kd_weight * kl - self.entropy_weight * entropy
        return Terms(loss, {"ce": ce, "kl": kl, "entropy": entropy})
