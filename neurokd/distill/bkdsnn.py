"""BKDSNN: blurred features that a generator restores (Xu et al., ECCV 2024, arXiv 2407.09083)."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from neurokd.distill.features import (
    FeatureObjective,
    ShapePair,
    Taps,
    check_ranks,
    mean_over_steps,
    require_features,
    same_resolution,
)
from neurokd.distill.objective import Observed, Terms, divergence, require_teacher
from neurokd.errors import NeurokdError


class Restorer(nn.Module):
    """Blurs a student's feature map and restores the teacher's from what is left.

    A 1x1 convolution where the channels differ, then the mask, then conv3x3, ReLU, conv3x3. The mask drops whole
    channels (`channel`) or positions (`position`) of each sample at random, also while nothing is trained.
    """

    def __init__(self, pair: ShapePair, mask: Literal["channel", "position"], mask_ratio: float) -> None:
        super().__init__()
        check_ranks(pair)
        if len(pair.student) != 3:
            raise NeurokdError(f"feature {pair.name}: shape {list(pair.student)}; bkdsnn needs maps [C, H, W]")
        channels = pair.teacher[0]
        self.align = nn.Identity() if pair.student[0] == channels else nn.Conv2d(pair.student[0], channels, 1)
        self.restore = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.mask, self.mask_ratio = mask, mask_ratio

    def forward(self, student: torch.Tensor) -> torch.Tensor:
        """`[B, C, H, W]` to the teacher's channels."""
        aligned = self.align(student)
        batch, channels, height, width = aligned.shape
        shape = (batch, channels, 1, 1) if self.mask == "channel" else (batch, 1, height, width)
        kept = torch.rand(shape, device=aligned.device) >= self.mask_ratio
        restored: torch.Tensor = self.restore(aligned * kept)
        return restored


class BKDSNN(FeatureObjective):
    """`CE(z_mean, y) + kd_weight tau^2 KL(p_tau(q) || p_tau(z_mean)) + feature_weight mean_b ||G(M(s)) - c t||^2`.

    `s` is the last feature averaged over T, `M` a random mask, `G` the generator, `c = max(s) / max(t)` of the batch
    (`rescale_teacher`) brings the teacher's ReLU values into the range of firing rates. The squared norm is the sum
    over the elements of a sample. The paper adds the logit term for its mixed regime.
    """

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = "BKDSNN, ECCV 2024, arXiv 2407.09083"

    name: Literal["bkdsnn"] = "bkdsnn"
    taps: Taps = "last"
    kd_weight: float = Field(default=1.0, ge=0.0)
    temperature: float = Field(default=2.0, gt=0.0)
    feature_weight: float = Field(default=7e-5, ge=0.0)
    mask: Literal["channel", "position"] = "channel"
    mask_ratio: float = Field(default=0.15, ge=0.0, lt=1.0)
    rescale_teacher: bool = True

    def adapters(self, shapes: Sequence[ShapePair]) -> nn.Module | None:
        """One generator for each tap."""
        return nn.ModuleList(Restorer(pair, self.mask, self.mask_ratio) for pair in shapes)

    def __call__(self, seen: Observed, adapters: nn.Module | None = None) -> Terms:
        """Loss of logits and features of both networks."""
        q = require_teacher(seen, self.name)
        pairs = require_features(seen, self.name)
        if not isinstance(adapters, nn.ModuleList):
            raise ValueError("method bkdsnn: no generators were given; build them with adapters()")
        mean = seen.logits.mean(dim=0)
        ce = F.cross_entropy(mean, seen.labels)
        kl = divergence(q, mean, self.temperature)
        distances = []
        for pair, restorer in zip(pairs, adapters, strict=True):
            student, teacher = same_resolution(mean_over_steps(pair), pair.teacher)
            if self.rescale_teacher:
                teacher = teacher * (student.detach().amax() / teacher.amax().clamp_min(1e-12))
            distances.append((restorer(student) - teacher).square().flatten(1).sum(dim=1).mean())
        feature = torch.stack(distances).sum()
        weights = {"ce": 1.0, "kl": self.kd_weight, "feature": self.feature_weight}
        return Terms({"ce": ce, "kl": kl, "feature": feature}, weights)
