"""One LightningModule for ANN and SNN: it trains a student by an objective."""

import math
from typing import Any

import lightning as L
import torch
from torch import nn

from neurokd.distill import Objective, Observed, Terms
from neurokd.distill.features import FeatureObjective
from neurokd.distill.pairing import Pairing
from neurokd.errors import NeurokdError
from neurokd.evaluation import logits_per_step
from neurokd.folding import folded
from neurokd.inputs import to_input
from neurokd.recipe import TrainingConfig
from neurokd.taps import evaluating

ROUNDING = 1e-3  # a divergence is 0 or more, but the sum of its float terms may come out a little below
TIE_WEIGHT = 1e-5  # of the validation loss in the score: below one image in 10,000, it only breaks ties


class Distiller(L.LightningModule):
    """Trains `student` by `objective`, beside a frozen `teacher` where the objective asks for one.

    `sample` is a few images `[B, C, H, W]` in [0, 1] or frames `[T, B, C, H, W]`, from which the logits and features
    of both networks are measured before anything is trained. Raises NeurokdError where they do not fit together.

    On frames the teacher's logits and features are the means over the frames that it is shown. These are the
    student's or, where `shown` `[T1, B, C, H, W]` gives an example of others, the first T1 frames of every batch.
    """

    def __init__(
        self,
        student: nn.Module,
        objective: Objective,
        config: TrainingConfig,
        seed: int = 0,
        *,
        teacher: nn.Module | None = None,
        sample: torch.Tensor | None = None,
        shown: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.objective = objective
        self.config = config
        self.seed = seed
        self.frozen: list[nn.Module] = []  # a list, so that the teacher is not saved with the student
        self.adapters: nn.Module | None = None
        self.pairing: Pairing | None = None
        self.teacher_frames = 0 if shown is None else len(shown)
        if teacher is not None and sample is not None:
            self._take(teacher, sample, sample if shown is None else shown)

    def _take(self, teacher: nn.Module, sample: torch.Tensor, shown: torch.Tensor) -> None:
        """Freeze the teacher, compare the logits, find the features and make the parts that fit them."""
        teacher.eval().requires_grad_(False)
        self.frozen = [teacher]
        with evaluating(self.student), torch.no_grad():
            ours = logits_per_step(self.student, sample).shape[-1]
            theirs = logits_per_step(teacher, shown).shape[-1]
        if ours != theirs:
            raise NeurokdError(f"the teacher has {theirs} classes, the student {ours}; give both the same")
        if isinstance(self.objective, FeatureObjective):
            self.pairing = Pairing(self.objective, self.student, teacher, sample, shown)
            torch.manual_seed(self.seed)
            self.adapters = self.objective.adapters(self.pairing.shapes)
        else:
            self.frozen = [folded(teacher, shown.flatten(0, -4))]

    def on_fit_start(self) -> None:
        """Train the student in training mode, whatever looked at it before; bring the teacher to its device."""
        self.train()
        for teacher in self.frozen:
            teacher.to(self.device)

    def on_fit_end(self) -> None:
        """Take the hooks off both networks."""
        if self.pairing:
            self.pairing.close()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed dropout and masks by the epoch, so that a resumed run repeats an uninterrupted one.

        At the first batch: Lightning calls no `on_train_epoch_start` for the epoch with which a run is continued.
        """
        if batch_idx == 0:
            torch.manual_seed(self.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """Loss of one batch; NeurokdError if it is negative or not finite."""
        (images, teacher), labels = self.look(batch[0]), batch[1]
        logits = logits_per_step(self.student, images)
        features = self.pairing.features() if self.pairing else []
        result = self.objective(Observed(logits, labels, teacher, features, self.current_epoch), self.adapters)
        if self.pairing:
            self.pairing.clear()
        loss = result.loss
        if not -ROUNDING <= loss.item() < math.inf:
            raise self._spoilt(result, index)
        self.log_dict({f"train_{k}": v for k, v in result.terms.items()}, on_epoch=True, on_step=False)
        self.log("train_loss", loss, on_epoch=True, on_step=False, prog_bar=True)
        return loss

    def look(self, stored: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The student's images or frames of a batch, and the teacher's logits `[B, C]` for what it is shown."""
        images, own = to_input(stored), self.teacher_frames
        shown, images = (images[:own], images[own:]) if own else (images, images)
        with torch.no_grad():
            teacher = logits_per_step(self.frozen[0], shown).mean(dim=0) if self.frozen else None
        return images, teacher

    def _spoilt(self, result: Terms, index: int) -> NeurokdError:
        """What was wrong with a loss, where, and what to do."""
        terms = ", ".join(f"{result.weights[name]:g} x {name} {value.item():g}" for name, value in result.terms.items())
        kept = "the checkpoint of the epoch before is kept" if self.current_epoch else "no epoch was complete"
        return NeurokdError(
            f"training: the loss is {result.loss.item():g} at epoch {self.current_epoch}, batch {index}, step "
            f"{self.global_step}, because of '{result.culprit()}' ({terms}); lower training.lr or this term's weight "
            f"in the method; {kept}"
        )

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> None:
        """Accuracy and loss of the mean logits on validation data, and the score that chooses the epoch."""
        logits = logits_per_step(self.student, to_input(batch[0])).mean(dim=0)
        accuracy = (logits.argmax(dim=1) == batch[1]).float().mean()
        loss = nn.functional.cross_entropy(logits, batch[1])
        if self.pairing:
            self.pairing.clear()
        self.log_dict({"val_accuracy": accuracy, "val_loss": loss}, prog_bar=True, batch_size=len(batch[1]))
        self.log("val_score", accuracy - TIE_WEIGHT * loss, batch_size=len(batch[1]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep code out of the file: torch 2.3 puts a function into the state of OneCycleLR, which has it anyway."""
        for state in checkpoint["lr_schedulers"]:
            state.pop("anneal_func", None)

    def configure_optimizers(self) -> Any:
        """The optimiser and schedule of the recipe."""
        c = self.config
        decayed = [p for p in self.parameters() if p.ndim > 1]
        others = [p for p in self.parameters() if p.ndim <= 1]  # BN and biases: no decay
        groups = [{"params": decayed, "weight_decay": c.weight_decay}, {"params": others, "weight_decay": 0.0}]
        if c.optimizer == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, lr=c.lr, momentum=c.momentum, nesterov=True)
        else:
            optimizer = torch.optim.AdamW(groups, lr=c.lr)
        scheduler = _schedule(optimizer, c, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _schedule(optimizer: torch.optim.Optimizer, config: TrainingConfig, steps: int) -> Any:
    """The learning rate over `steps` optimiser steps; `config.lr` is its peak."""
    if config.schedule == "onecycle":
        rising = 0.25 if steps == 5 else 0.2  # torch divides by rising * steps - 1
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=steps, pct_start=rising)
    if config.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
