"""SAKD: self-architectural knowledge distillation, features and logits (draft under review)."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt, model_validator
from torch import nn

from neurokd.distill.features import FeatureObjective, ShapePair, Transform, fitted, require_features
from neurokd.distill.objective import Observed, Terms, divergence, require_teacher

SILENT = 1e-2  # a norm below this counts as this: one spike in 64 steps has 1/64, a silent sample no direction


def normalised_distance(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """`mean_b ||s / ||s|| - t / ||t|| ||^2` for features `[B, ...]`, each sample one vector.

    Norms are at least `SILENT`, so that the gradient of a silent student stays finite.
    """
    directions = [F.normalize(feature.flatten(1), dim=1, eps=SILENT) for feature in (student, teacher)]
    difference = directions[0] - directions[1]
    return difference.square().sum(dim=1).mean()


DISTANCES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "l2": F.mse_loss,
    "l1": F.l1_loss,
    "normalised": normalised_distance,
}


class SAKD(FeatureObjective):
    """`ce_weight CE(z_mean, y) + logit_weight tau^2 KL(p_tau(q) || p_tau(z_mean)) + feature_weight L_fea`.

    SAKD eq. 5-9. `L_fea` is the mean over the taps of `distance(transform(mean_t s[t]), t)`; `l2` and `l1` are means
    over all elements. `transform` is `conv` (1x1 convolution and BN), `norm` (BN) or `none`, trained with the student.
    `feature_weight_from` changes the weight from an epoch on, `{10: 0.01}` for ImageNet. The weights of the teacher
    as a start are the recipe's `start: teacher`.
    """

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = "SAKD eq. 5-9, draft"

    name: Literal["sakd"] = "sakd"
    ce_weight: float = Field(default=0.0, ge=0.0)
    logit_weight: float = Field(default=1.0, ge=0.0)
    temperature: float = Field(default=20.0, gt=0.0)
    feature_weight: float = Field(default=100.0, ge=0.0)
    feature_weight_from: dict[NonNegativeInt, NonNegativeFloat] = Field(default={})
    transform: Literal["conv", "norm", "none"] = "conv"
    distance: Literal["l2", "l1", "normalised"] = "l2"

    @model_validator(mode="after")
    def _learns_something(self) -> "SAKD":
        features = all((self.feature_weight, *self.feature_weight_from.values()))
        if not (self.ce_weight or self.logit_weight or features):
            raise ValueError("ce_weight, logit_weight and feature_weight are all 0 (at an epoch); give one more than 0")
        return self

    def adapters(self, shapes: Sequence[ShapePair]) -> nn.Module | None:
        """One transform for each tap."""
        return nn.ModuleList(Transform(pair, self.transform) for pair in shapes)

    def weight_at(self, epoch: int) -> float:
        """The weight of the features at an epoch, counted from 0.

        >>> [SAKD(feature_weight=10, feature_weight_from={10: 0.01}).weight_at(epoch) for epoch in (0, 9, 10)]
        [10.0, 10.0, 0.01]
        """
        begun = [start for start in self.feature_weight_from if start <= epoch]
        return self.feature_weight_from[max(begun)] if begun else self.feature_weight

    def __call__(self, seen: Observed, adapters: nn.Module | None = None) -> Terms:
        """Loss of logits and features of both networks."""
        q = require_teacher(seen, self.name)
        pairs = require_features(seen, self.name)
        mean = seen.logits.mean(dim=0)
        ce = F.cross_entropy(mean, seen.labels)
        kl = divergence(q, mean, self.temperature)
        distances = [DISTANCES[self.distance](*features) for features in fitted(pairs, adapters)]
        feature = torch.stack(distances).mean()
        weights = {"ce": self.ce_weight, "kl": self.logit_weight, "feature": self.weight_at(seen.epoch)}
        return Terms({"ce": ce, "kl": kl, "feature": feature}, weights)
