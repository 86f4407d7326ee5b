"""Vanilla knowledge distillation of an SNN: the mean of its logits against the teacher's."""

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import nn

from neurokd.distill.objective import Objective, Observed, Terms, divergence, require_teacher


class KD(Objective):
    """`(1 - a) CE(z_mean, y) + a tau^2 KL(p_tau(q) || p_tau(z_mean))`, TSER eq. 7.

    `a` is `kd_weight`, `tau` is `temperature`, `q` the teacher's logits, `z_mean = mean_t z[t]`.
    """

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = "vanilla SNN distillation, TSER eq. 7"

    name: Literal["kd"] = "kd"
    kd_weight: float = Field(default=0.5, ge=0.0, le=1.0)
    temperature: float = Field(default=5.0, gt=0.0)

    def __call__(self, seen: Observed, adapters: nn.Module | None = None) -> Terms:
        """Loss of logits `[T, B, C]` against teacher logits `[B, C]`."""
        q = require_teacher(seen, self.name)
        mean = seen.logits.mean(dim=0)
        ce = F.cross_entropy(mean, seen.labels)
        kl = divergence(q, mean, self.temperature)
        return Terms({"ce": ce, "kl": kl}, {"ce": 1.0 - self.kd_weight, "kl": self.kd_weight})
