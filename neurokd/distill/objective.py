"""What every distillation objective has, and the two terms that most of them share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class Terms:
    """A loss and the terms it is made of, all 0-d; `terms` are unweighted, for the logs."""

    loss: torch.Tensor
    terms: dict[str, torch.Tensor]


class Objective(BaseModel, ABC):
    """One method: its coefficients are the fields, and thereby the recipe's keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    needs_teacher: ClassVar[bool]
    source: ClassVar[str]

    @abstractmethod
    def __call__(self, student: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None) -> Terms:
        """Loss of student logits `[T, B, C]`, labels `[B]` and teacher logits `[B, C]`."""


def cross_entropy_per_step(student: torch.Tensor, labels: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
    """`mean_t mean_b CE(z[t], y)` for logits `[T, B, C]` and labels `[B]`."""
    steps = student.shape[0]
    return F.cross_entropy(student.flatten(0, 1), labels.repeat(steps), label_smoothing=label_smoothing)


def divergence(teacher: torch.Tensor, student: torch.Tensor, temperature: float) -> torch.Tensor:
    """`tau^2 * KL(softmax(q / tau) || softmax(z / tau))`, mean over the batch and the steps.

    Student logits are `[B, C]` or `[T, B, C]`, teacher logits `[B, C]`; summed over the classes
    and averaged over everything else, which is PyTorch's `batchmean` at each step.
    """
    p = F.softmax(teacher / temperature, dim=-1)
    log_p = F.log_softmax(teacher / temperature, dim=-1)
    log_q = F.log_softmax(student / temperature, dim=-1)
    return (p * (log_p - log_q)).sum(dim=-1).mean() * temperature**2


def require_teacher(teacher: torch.Tensor | None, method: str) -> torch.Tensor:
    """The teacher's logits, or a ValueError that names the method that needs them."""
    if teacher is None:
        raise ValueError(f"method {method}: no teacher logits were given")
    return teacher
