"""Where accuracy was lost on the way from torch to Lava, and in which layer that began."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from neurokd.export.proof.stages import FloatArray, Stage

LOSS = 0.002  # of accuracy: what a stage may lose before its layers are looked at


@dataclass(frozen=True)
class LayerChange:
    """How a layer's neurons fire before and after a stage, in spikes per neuron and step.

    `error` is `sum |after - before| / sum before` over the neurons of the layer.
    """

    name: str
    before: float
    after: float
    error: float


@dataclass(frozen=True)
class Loss:
    """The first stage that lost more than `LOSS`: how many `points` of accuracy, on the way from stage `before`.

    `starts_at` is the layer that adds most to the error of the layers before it; None where no layer spikes.
    """

    stage: str
    before: str
    points: float
    layers: tuple[LayerChange, ...]
    starts_at: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "layers": [vars(layer) for layer in self.layers]}


def scores(stages: Sequence[Stage], labels: npt.NDArray[np.int64] | None) -> list[dict[str, Any]]:
    """One row of the manifest's waterfall for every stage; the first is what all must agree with.

    `accuracy` is None without `labels`, `agreement` is the share of images with the first stage's prediction.
    """
    wanted = stages[0].predictions
    return [
        {
            "stage": stage.name,
            "accuracy": None if labels is None else _share(stage.predictions, labels),
            "agreement": _share(stage.predictions, wanted),
            "samples": len(wanted),
            "note": stage.note,
        }
        for stage in stages
    ]


def first_loss(stages: Sequence[Stage], labels: npt.NDArray[np.int64] | None) -> Loss | None:
    """The first of `stages` that loses more than `LOSS` to the one before; None if there is none.

    Without `labels`, what the first stage predicts takes their place.
    """
    truth = stages[0].predictions if labels is None else labels
    for before, after in pairwise(stages):
        lost = int((before.predictions == truth).sum()) - int((after.predictions == truth).sum())
        if lost > LOSS * len(truth):
            layers = _changes(before.rates, after.rates)
            return Loss(after.name, before.name, 100.0 * lost / len(truth), layers, _start(layers))
    return None


def _changes(before: dict[str, FloatArray], after: dict[str, FloatArray]) -> tuple[LayerChange, ...]:
    """One entry per population that both stages have, in the order in which they run."""
    shared = [name for name in before if name in after]
    return tuple(_change(name, before[name], after[name]) for name in shared)


def _change(name: str, before: FloatArray, after: FloatArray) -> LayerChange:
    moved, fired = float(np.abs(after - before).sum()), float(before.sum())
    error = moved / fired if fired else float(moved > 0.0)
    return LayerChange(name, float(before.mean()), float(after.mean()), error)


def _start(layers: Sequence[LayerChange]) -> str | None:
    if not layers:
        return None
    errors = [0.0, *(layer.error for layer in layers)]
    added = [after - before for before, after in pairwise(errors)]
    return layers[int(np.argmax(added))].name


def _share(predictions: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> float:
    return float((predictions == wanted).mean())
