"""Vanilla knowledge distillation of an SNN: the mean of its logits against the teacher's."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field

from neurokd.distill.objective import Objective, Terms, divergence, require_teacher


class KD(Objective):
    """`(1 - a) CE(z_mean, y) + a tau^2 KL(p_tau(q) || p_tau(z_mean))`, TSER eq. 7.

    `a` is `kd_weight`, `tau` is `temperature`, `q` the teacher's logits, `z_mean = mean_t z[t]`.
    """

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = "vanilla SNN distillation, TSER eq. 7"

    name: Literal["kd"] = "kd"
    kd_weight: float = Field(default=0.5, ge=0.0, le=1.0)
    temperature: float = Field(default=5.0, gt=0.0)

    def __call__(self, student: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None = None) -> Terms:
        """Loss of logits `[T, B, C]` against teacher logits `[B, C]`."""
        q = require_teacher(teacher, self.name)
        mean = student.mean(dim=0)
        ce = F.cross_entropy(mean, labels)
        kl = divergence(q, mean, self.temperature)
        return Terms((1.0 - self.kd_weight) * ce + self.kd_weight * kl, {"ce": ce, "kl": kl})
