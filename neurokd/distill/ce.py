"""Direct training: cross-entropy on the mean of the logits over the steps."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field

from neurokd.distill.objective import Objective, Terms


class CE(Objective):
    """`CE(mean_t z[t], y)`; with one step, the usual training of an ANN."""

    needs_teacher: ClassVar[bool] = False
    source: ClassVar[str] = "direct training, the baseline of all three papers"

    name: Literal["ce"] = "ce"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)

    def __call__(self, student: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None = None) -> Terms:
        """Loss of logits `[T, B, C]`; a teacher is not used."""
        loss = F.cross_entropy(student.mean(dim=0), labels, label_smoothing=self.label_smoothing)
        return Terms(loss, {"ce": loss})
