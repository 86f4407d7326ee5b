"""LaSNN: layer-wise distillation of attention maps (Hong et al. 2023, arXiv 2304.09101)."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from neurokd.distill.features import FeatureObjective, mean_over_steps, require_features, same_resolution
from neurokd.distill.objective import Observed, Terms, require_teacher


def attention(feature: torch.Tensor) -> torch.Tensor:
    """`Q / ||Q||_2` with `Q = sum_c |F_c|^2` over the positions: `[B, C, H, W]` to `[B, H * W]`; `[B, F]` to `[B, F]`.

    The attention map of Zagoruyko & Komodakis 2017 (arXiv 1612.03928).
    """
    energy = feature.square().sum(dim=1).flatten(1) if feature.ndim == 4 else feature.square()
    return F.normalize(energy, dim=1)


class LaSNN(FeatureObjective):
    """`CE(z_mean, y) + attention_weight sum_l mean_b || A(mean_t s_l) - A(t_l) ||_2`, `A` the attention map.

    A map has no channels, so teacher and student may differ in width without an adapter.
    """

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = "LaSNN, arXiv 2304.09101"

    name: Literal["lasnn"] = "lasnn"
    attention_weight: float = Field(default=1.0, ge=0.0)

    def __call__(self, seen: Observed, adapters: nn.Module | None = None) -> Terms:
        """Loss of logits `[T, B, C]` and the features of both networks."""
        require_teacher(seen, self.name)
        ce = F.cross_entropy(seen.logits.mean(dim=0), seen.labels)
        distances = []
        for pair in require_features(seen, self.name):
            student, teacher = same_resolution(mean_over_steps(pair), pair.teacher)
            distances.append((attention(student) - attention(teacher)).norm(dim=1).mean())
        total = torch.stack(distances).sum()
        return Terms({"ce": ce, "attention": total}, {"ce": 1.0, "attention": self.attention_weight})
