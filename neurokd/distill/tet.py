"""TET: direct training with the loss taken at every step (Deng et al., ICLR 2022, arXiv 2202.11946)."""

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import nn

from neurokd.distill.objective import Objective, Observed, Terms, cross_entropy_per_step


class TET(Objective):
    """`(1 - w) mean_t CE(z[t], y) + w mean_t MSE(z[t], phi)`, TET eq. 9 and 11.

    `w` is `mse_weight` (0 leaves the second term out), `phi` is `mse_target`, a constant for every
    logit, in TET the firing threshold. MSE is the mean over batch and classes. Without it this is also the loss
    of an ANN that sees the frames of a recording as images of their own (HSD eq. 8).
    """

    needs_teacher: ClassVar[bool] = False
    source: ClassVar[str] = "TET, arXiv 2202.11946"

    name: Literal["tet"] = "tet"
    mse_weight: float = Field(default=0.0, ge=0.0, le=1.0)
    mse_target: float = 1.0
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)

    def __call__(self, seen: Observed, adapters: nn.Module | None = None) -> Terms:
        """Loss of logits `[T, B, C]`; a teacher is not used."""
        ce = cross_entropy_per_step(seen.logits, seen.labels, self.label_smoothing)
        mse = F.mse_loss(seen.logits, seen.logits.new_full(seen.logits.shape, self.mse_target))
        return Terms({"ce": ce, "mse": mse}, {"ce": 1.0 - self.mse_weight, "mse": self.mse_weight})
