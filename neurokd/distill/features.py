"""Feature distillation: which features are compared, and how shapes are made to fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from neurokd.distill.objective import FeaturePair, Objective, Observed
from neurokd.errors import NeurokdError
from neurokd.taps import Position

Shape = tuple[int, ...]


class TapPair(BaseModel):
    """A module of the student and one of the teacher, where their paths differ."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    student: str
    teacher: str


Taps = Literal["stages", "blocks", "last"] | Annotated[tuple[str | TapPair, ...], Field(min_length=1)]


@dataclass(frozen=True)
class ShapePair:
    """Shapes without batch and time, `(C, H, W)` or `(F,)`, of a pair of features."""

    name: str
    student: Shape
    teacher: Shape


class FeatureObjective(Objective):
    """A method that compares features.

    `taps` are the ends of `stages` or `blocks`, the `last` stage alone, or module paths; `position` takes a
    feature `after` its activation (spikes) or `before` it (currents).
    """

    taps: Taps = "stages"
    position: Position = "after"

    def adapters(self, shapes: Sequence[ShapePair]) -> nn.Module | None:
        """The trainable parts that the loss needs for features of these shapes; none by default."""
        for pair in shapes:
            check_ranks(pair)
        return None


class Transform(nn.Module):
    """Brings a student's feature `[B, ...]` to the teacher's channels and resolution.

    `conv` is a 1x1 convolution (or linear layer) with BN, `norm` BN alone, `none` nothing. A map that is larger than
    the other one is averaged down to it, whichever of the two it is.
    """

    def __init__(self, pair: ShapePair, kind: Literal["conv", "norm", "none"]) -> None:
        super().__init__()
        check_ranks(pair)
        if kind != "conv" and pair.student[0] != pair.teacher[0]:
            raise NeurokdError(
                f"feature {pair.name}: the student has {pair.student[0]} channels, the teacher {pair.teacher[0]}, and "
                f"transform '{kind}' changes none; use transform: conv"
            )
        self.change: nn.Module = nn.Identity()
        maps = len(pair.student) == 3
        norm: nn.Module = nn.BatchNorm2d(pair.teacher[0]) if maps else nn.BatchNorm1d(pair.teacher[0])
        if kind == "conv":
            first: nn.Module = (
                nn.Conv2d(pair.student[0], pair.teacher[0], 1, bias=False)
                if maps
                else nn.Linear(pair.student[0], pair.teacher[0], bias=False)
            )
            self.change = nn.Sequential(first, norm)
        elif kind == "norm":
            self.change = norm

    def forward(self, student: torch.Tensor, teacher: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both features in one shape."""
        student, teacher = same_resolution(student, teacher)
        return self.change(student), teacher


def same_resolution(student: torch.Tensor, teacher: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Average the larger of two maps `[B, C, H, W]` down to the smaller one; vectors are left alone."""
    if student.ndim != 4 or student.shape[2:] == teacher.shape[2:]:
        return student, teacher
    height, width = (min(sizes) for sizes in zip(student.shape[2:], teacher.shape[2:], strict=True))
    return F.adaptive_avg_pool2d(student, (height, width)), F.adaptive_avg_pool2d(teacher, (height, width))


def check_ranks(pair: ShapePair) -> None:
    """Raise NeurokdError unless both features are maps, or both are vectors."""
    if len(pair.student) != len(pair.teacher) or len(pair.student) not in (1, 3):
        raise NeurokdError(
            f"feature {pair.name}: the student has shape {list(pair.student)}, the teacher {list(pair.teacher)}; "
            "no adapter fits, name taps that are both maps [C, H, W] or both vectors [F]"
        )


def mean_over_steps(pair: FeaturePair) -> torch.Tensor:
    """The student's feature averaged over T, `[B, ...]`: of spikes, the firing rate.

    Added step by step, which keeps the memory layout; `mean` over a folded axis loses channels last and doubles
    the time of what follows.
    """
    first, *others = pair.student.unbind(0)
    return sum(others, first) / len(pair.student)


def fitted(pairs: Sequence[FeaturePair], adapters: nn.Module | None) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each student's feature averaged over T, and the teacher's, in one shape: by its `Transform`, or as they are."""
    rates = [(mean_over_steps(pair), pair.teacher) for pair in pairs]
    if not isinstance(adapters, nn.ModuleList):
        return rates
    return [transform(*features) for transform, features in zip(adapters, rates, strict=True)]


def require_features(seen: Observed, method: str) -> Sequence[FeaturePair]:
    """The features, or a ValueError that names the method that needs them."""
    if not seen.features:
        raise ValueError(f"method {method}: no features were given")
    return seen.features
