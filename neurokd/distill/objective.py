"""What every distillation objective has, and the two terms that most of them share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import nn


@dataclass(frozen=True)
class FeaturePair:
    """One feature of both networks: `student` `[T, B, ...]` (T = 1 where it does not change), `teacher` `[B, ...]`."""

    name: str
    student: torch.Tensor
    teacher: torch.Tensor


@dataclass(frozen=True)
class Observed:
    """What an objective sees of one batch.

    `logits` `[T, B, C]` and `labels`: class numbers `[B]`, or of mixed samples the share of each class `[B, C]`. Of
    the teacher, where there is one, the logits `[B, C]` and the features that the objective's `taps` name. `epoch`
    counts from 0.
    """

    logits: torch.Tensor
    labels: torch.Tensor
    teacher: torch.Tensor | None = None
    features: Sequence[FeaturePair] = ()
    epoch: int = 0


@dataclass(frozen=True)
class Terms:
    """The terms of a loss, 0-d and unweighted as they are logged, and the weight of each."""

    terms: dict[str, torch.Tensor]
    weights: dict[str, float]

    @property
    def loss(self) -> torch.Tensor:
        """`sum_k weight_k * term_k`, 0-d; a term with weight 0 is left out, whatever its value."""
        weighted = [self.weights[name] * term for name, term in self.terms.items() if self.weights[name] != 0.0]
        return torch.stack(weighted).sum()

    def culprit(self) -> str:
        """The term that spoils a loss: the first that is not finite, else the most negative one."""
        values = {name: (self.weights[name] * term).item() for name, term in self.terms.items() if self.weights[name]}
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        return broken[0] if broken else min(values, key=lambda name: values[name])


class Objective(BaseModel, ABC):
    """One method: its coefficients are the fields, and thereby the recipe's keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    needs_teacher: ClassVar[bool]
    source: ClassVar[str]

    @abstractmethod
    def __call__(self, seen: Observed, adapters: nn.Module | None = None) -> Terms:
        """Loss of one batch; `adapters` are the trainable parts that a feature method asked for."""


def cross_entropy_per_step(student: torch.Tensor, labels: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
    """`mean_t mean_b CE(z[t], y)` for logits `[T, B, C]` and labels `[B]` or `[B, C]`."""
    every_step = labels.expand(len(student), *labels.shape).flatten(0, 1)
    return F.cross_entropy(student.flatten(0, 1), every_step, label_smoothing=label_smoothing)


def divergence(teacher: torch.Tensor, student: torch.Tensor, temperature: float) -> torch.Tensor:
    """`tau^2 * KL(softmax(q / tau) || softmax(z / tau))`, mean over the batch and the steps.

    Student logits are `[B, C]` or `[T, B, C]`, teacher logits `[B, C]`; summed over the classes
    and averaged over everything else, which is PyTorch's `batchmean` at each step.
    """
    p = F.softmax(teacher / temperature, dim=-1)
    log_p = F.log_softmax(teacher / temperature, dim=-1)
    log_q = F.log_softmax(student / temperature, dim=-1)
    return (p * (log_p - log_q)).sum(dim=-1).mean() * temperature**2


def require_teacher(seen: Observed, method: str) -> torch.Tensor:
    """The teacher's logits, or a ValueError that names the method that needs them."""
    if seen.teacher is None:
        raise ValueError(f"method {method}: no teacher logits were given")
    return seen.teacher
