"""The artefact of a run: `network.net`, `network.nir` and `manifest.json`, written whole and verified."""

from typing import Any

import nir
import torch
from torch import nn

from neurokd.data.images import DataSet
from neurokd.data.splits import stratified
from neurokd.errors import NeurokdError
from neurokd.export.artefact import (
    CALIBRATION_SAMPLES,
    ExportOptions,
    Reference,
    first_images,
    measure,
    write_networks,
)
from neurokd.export.calibrate import Calibration, calibrate, float_logits
from neurokd.export.lower import lower
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.files import atomic_folder, write_json
from neurokd.runs import Run
from neurokd.spiking import SpikingNetwork
from neurokd.training import load_data, load_model

__all__ = ["ExportOptions", "export_run"]


def export_run(run: Run, options: ExportOptions | None = None) -> dict[str, Any]:
    """Export the student of a finished run into `RUN/export` and return the manifest.

    Raises NeurokdError for a run that is unfinished, data that changed since training, or a layer
    that cannot be lowered. A mismatch with Lava does not raise: it stands in the manifest.
    """
    options = options or ExportOptions()
    result = run.result()
    dataset = load_data(run.recipe, options.data_root)
    for part, images in (("train", dataset.train), ("test", dataset.test)):
        if images.fingerprint() != result["data"]["fingerprint"][part]:
            raise NeurokdError(f"data '{dataset.name}': the {part} images are not those of run '{run.path}'")
    student = load_model(run, dataset)
    if not isinstance(student, SpikingNetwork):
        raise NeurokdError(f"run '{run.path}': is a plain ANN (neuron: null); export a spiking run")
    graph = fold_scale(lower(student, dataset.shape, dataset.encoding))
    calibration = _calibrate(graph, student, run, dataset)
    test = first_images(dataset.test, options.samples)
    reference = Reference(
        "float student", float_logits(student, test), test, teacher=result["teacher"], teacher_samples=len(dataset.test)
    )
    with atomic_folder(run.export) as folder:
        network = write_networks(folder, graph, calibration.quantized.network)
        manifest = measure(network, folder, calibration, reference, options.lava)
        write_json(folder / "manifest.json", manifest)
    return manifest


def _calibrate(graph: nir.NIRGraph, student: nn.Module, run: Run, dataset: DataSet) -> Calibration:
    labels = dataset.train.labels.numpy()
    training = run.load_split().train
    chosen = training[stratified(labels[training], min(CALIBRATION_SAMPLES, len(training)), run.recipe.seed)]
    images = dataset.train.subset(torch.from_numpy(chosen))
    return calibrate(fold_average_pooling(graph), float_logits(student, images), images, dataset.classes)
