"""Direct training: cross-entropy on the mean of the logits over the steps."""

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import nn

from neurokd.distill.objective import Objective, Observed, Terms


class CE(Objective):
    """`CE(mean_t z[t], y)`; with one step, the usual training of an ANN."""

    needs_teacher: ClassVar[bool] = False
    source: ClassVar[str] = "direct training, the baseline of all three papers"

    name: Literal["ce"] = "ce"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)

    def __call__(self, seen: Observed, adapters: nn.Module | None = None) -> Terms:
        """Loss of logits `[T, B, C]`; a teacher is not used."""
        ce = F.cross_entropy(seen.logits.mean(dim=0), seen.labels, label_smoothing=self.label_smoothing)
        return Terms({"ce": ce}, {"ce": 1.0})
