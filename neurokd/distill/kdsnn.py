"""KDSNN: soft labels and features of an ANN (Xu et al., CVPR 2023, arXiv 2304.05627)."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from neurokd.distill.features import FeatureObjective, ShapePair, Transform, fitted, require_features
from neurokd.distill.objective import Observed, Terms, require_teacher


def soft_cross_entropy(teacher: torch.Tensor, student: torch.Tensor, temperature: float) -> torch.Tensor:
    """`tau^2 CE(p_tau(q), p_tau(z))`, mean over the batch, for logits `[B, C]`: the KL plus the teacher's entropy."""
    log_p = F.log_softmax(student / temperature, dim=-1)
    return -(F.softmax(teacher / temperature, dim=-1) * log_p).sum(dim=-1).mean() * temperature**2


class KDSNN(FeatureObjective):
    """`(1 - a) CE(z_mean, y) + a tau^2 CE(p_tau(q), p_tau(z_mean)) + feature_weight mean_l MSE(W_l mean_t s_l, t_l)`.

    `a` is `kd_weight`; `W_l` is a 1x1 convolution with BN where the channels differ, else nothing. MSE is the mean
    over all elements, so that the weight does not depend on the size of the maps.
    """

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = "KDSNN, CVPR 2023, arXiv 2304.05627"

    name: Literal["kdsnn"] = "kdsnn"
    kd_weight: float = Field(default=0.5, ge=0.0, le=1.0)
    temperature: float = Field(default=5.0, gt=0.0)
    feature_weight: float = Field(default=1.0, ge=0.0)

    def adapters(self, shapes: Sequence[ShapePair]) -> nn.Module | None:
        """A transform for each tap, trained where the channels differ."""
        return nn.ModuleList(
            Transform(pair, "none" if pair.student[:1] == pair.teacher[:1] else "conv") for pair in shapes
        )

    def __call__(self, seen: Observed, adapters: nn.Module | None = None) -> Terms:
        """Loss of logits and features of both networks."""
        q = require_teacher(seen, self.name)
        pairs = require_features(seen, self.name)
        mean = seen.logits.mean(dim=0)
        ce = F.cross_entropy(mean, seen.labels)
        soft = soft_cross_entropy(q, mean, self.temperature)
        feature = torch.stack([F.mse_loss(*features) for features in fitted(pairs, adapters)]).mean()
        weights = {"ce": 1.0 - self.kd_weight, "soft_ce": self.kd_weight, "feature": self.feature_weight}
        return Terms({"ce": ce, "soft_ce": soft, "feature": feature}, weights)
