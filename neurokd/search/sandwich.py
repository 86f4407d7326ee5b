"""Train a supernet: at every step the largest subnet, the smallest, and a few in between."""

import math

import numpy as np
import torch
from torch import nn

from neurokd.distill import Observed, Terms
from neurokd.distiller import ROUNDING, TIE_WEIGHT, Distiller
from neurokd.inputs import to_input
from neurokd.recipe import Recipe
from neurokd.search.space import Space, Subnet
from neurokd.search.supernet import Supernet


def sandwich(space: Space, random: int, seed: int, step: int) -> list[Subnet]:
    """The subnets of one step: the largest, the smallest and `random` more (Yu & Huang 2019, section 3.1).

    They follow from `seed` and `step` alone, so that a resumed training takes the same ones.

    >>> [net.name for net in sandwich(Space(channels=[[4, 8]], depths=[[1, 2]]), 1, seed=0, step=0)]
    ['c8_d2', 'c4_d1', 'c4_d2']
    """
    generator = np.random.RandomState([seed, step])
    between = [space.subnet(int(generator.randint(space.count))) for _ in range(random)]
    return [space.largest, space.smallest, *between]


class SandwichDistiller(Distiller):
    """A `Distiller` whose student is a supernet.

    The loss of a step is the mean over its subnets, and each learns from labels and teacher by the recipe's method.
    Gradients are accumulated one subnet after the other, so memory is that of the largest alone.
    """

    def __init__(
        self,
        supernet: Supernet,
        recipe: Recipe,
        random: int,
        seed: int,
        teacher: nn.Module | None,
        sample: torch.Tensor,
        shown: torch.Tensor | None = None,
    ) -> None:
        config = recipe.training
        super().__init__(supernet.weights, recipe.method, config.model_copy(update={"clip_norm": None}), recipe.seed,
                         teacher=teacher, sample=sample, shown=shown)  # fmt: skip
        self.automatic_optimization = False  # several backward passes for one step, which also clips by itself
        self.clip_norm = config.clip_norm
        self.supernet, self.random, self.sampling_seed = supernet, random, seed

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """One optimiser step; returns the mean loss. NeurokdError if a loss is negative or not finite."""
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        (images, teacher), labels = self.look(batch[0]), batch[1]
        optimizer.zero_grad()  # type: ignore[union-attr]
        subnets = sandwich(self.supernet.space, self.random, self.sampling_seed, self.global_step)
        total = torch.zeros((), device=self.device)
        for subnet in subnets:
            seen = Observed(self.supernet.logits(subnet, images), labels, teacher, epoch=self.current_epoch)
            loss = self._checked(self.objective(seen), index)
            self.manual_backward(loss / len(subnets))
            total += loss.detach() / len(subnets)
        self.clip_gradients(optimizer, self.clip_norm, "norm")  # type: ignore[arg-type]
        optimizer.step()  # type: ignore[union-attr]
        schedule.step()  # type: ignore[union-attr]
        self.log("train_loss", total, on_epoch=True, on_step=False, prog_bar=True)
        return total

    def _checked(self, result: Terms, index: int) -> torch.Tensor:
        if not -ROUNDING <= result.loss.item() < math.inf:
            raise self._spoilt(result, index)
        return result.loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> None:
        """Mean accuracy and loss of the largest and the smallest subnet, on the statistics of the batch.

        It follows the training and chooses the epoch; what a search reports is measured after calibration.
        """
        images, labels, space = to_input(batch[0]), batch[1], self.supernet.space
        logits = torch.stack([self.supernet.logits(net, images).mean(dim=0) for net in (space.largest, space.smallest)])
        accuracy = (logits.argmax(dim=-1) == labels).float().mean()
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels.repeat(2))
        self.log_dict({"val_accuracy": accuracy, "val_loss": loss}, prog_bar=True, batch_size=len(labels))
        self.log("val_score", accuracy - TIE_WEIGHT * loss, batch_size=len(labels))
