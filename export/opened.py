"""A finished run, opened for export: its data, its student, and the student's float graph."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nir
import torch

from neurokd.data.images import DataSet, ImageSet
from neurokd.data.splits import stratified
from neurokd.errors import NeurokdError
from neurokd.export.lower import lower
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.runs import Run
from neurokd.spiking import SpikingNetwork
from neurokd.training import load_data, load_model

CALIBRATION_SAMPLES = 512


@dataclass(frozen=True)
class OpenedRun:
    """`graph` is the student lowered, its pooling still there; `folded` is what is quantised."""

    run: Run
    result: dict[str, Any]
    dataset: DataSet
    student: SpikingNetwork
    graph: nir.NIRGraph

    @cached_property
    def folded(self) -> nir.NIRGraph:
        """The graph with its pooling folded."""
        return fold_average_pooling(self.graph)

    def calibration_images(self) -> ImageSet:
        """Images that the student was trained on, as many of each class as there are in all."""
        training = self.run.load_split().train
        labels = self.dataset.train.labels.numpy()[training]
        chosen = stratified(labels, min(CALIBRATION_SAMPLES, len(training)), self.run.recipe.seed)
        return self.dataset.train.subset(torch.from_numpy(training[chosen]))


def open_run(run: Run, data_root: Path | None = None) -> OpenedRun:
    """Open a finished run of a spiking student.

    Raises NeurokdError for a run that is unfinished, data that changed since training, or a layer that cannot be
    lowered.
    """
    result = run.result()
    dataset = load_data(run.recipe, data_root)
    for part, images in (("train", dataset.train), ("test", dataset.test)):
        if images.fingerprint() != result["data"]["fingerprint"][part]:
            raise NeurokdError(f"data '{dataset.name}': the {part} images are not those of run '{run.path}'")
    student = load_model(run, dataset)
    if not isinstance(student, SpikingNetwork):
        raise NeurokdError(f"run '{run.path}': is a plain ANN (neuron: null); export a spiking run")
    graph = fold_scale(lower(student, dataset.shape, dataset.encoding))
    return OpenedRun(run, result, dataset, student, graph)
