"""HSD: step-wise knowledge distillation of a converted network (Zhong et al., ACM MM 2024)."""

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import nn

from neurokd.distill.objective import Objective, Observed, Terms, divergence, require_teacher


class HSD(Objective):
    """`CE(z_mean, y) + kd_weight tau^2 mean_t KL(p_tau(q) || p_tau(z[t]))`, HSD eq. 11 and 13.

    The last stage of HSD. The two before it, an ANN with QCFS activations and its conversion, are the
    recipe's `teacher.qcfs` and `start: converted`. `step_wise: false` compares the teacher with the
    mean output instead (eq. 9, 10), the paper's vanilla KD. `tau` is `temperature`; neither it nor
    `kd_weight` is printed in the paper.
    """

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = "HSD eq. 9-13, ACM MM 2024"

    name: Literal["hsd"] = "hsd"
    kd_weight: float = Field(default=1.0, ge=0.0)
    temperature: float = Field(default=2.0, gt=0.0)
    step_wise: bool = True

    def __call__(self, seen: Observed, adapters: nn.Module | None = None) -> Terms:
        """Loss of logits `[T, B, C]` against teacher logits `[B, C]`."""
        q = require_teacher(seen, self.name)
        mean = seen.logits.mean(dim=0)
        ce = F.cross_entropy(mean, seen.labels)
        kl = divergence(q, seen.logits if self.step_wise else mean, self.temperature)
        return Terms({"ce": ce, "kl": kl}, {"ce": 1.0, "kl": self.kd_weight})
