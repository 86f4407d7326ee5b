"""The artefact: `network.net`, `network.nir` and `manifest.json`, written whole and verified."""

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nir
import torch
from torch import nn

from neurokd.data.images import DataSet, ImageSet
from neurokd.data.splits import stratified
from neurokd.errors import NeurokdError
from neurokd.export.calibrate import Calibration, calibrate, float_logits
from neurokd.export.lower import lower
from neurokd.export.manifest import Scores, layer_rows, waterfall_rows
from neurokd.export.network import LoihiNetwork
from neurokd.export.netx import read_netx, write_netx
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.export.witness import Witness, witness
from neurokd.files import atomic_folder, write_json
from neurokd.hardware.activity import measure_activity
from neurokd.hardware.energy import estimate_energy
from neurokd.hardware.simulator import simulate
from neurokd.runs import Run, environment, now
from neurokd.spiking import SpikingNetwork
from neurokd.training import load_data, load_model

CALIBRATION_SAMPLES = 512


@dataclass(frozen=True)
class ExportOptions:
    """`samples`: test images for the quantised network (None: all); `lava`: how the witness is asked."""

    samples: int | None = None
    lava: Witness = field(default_factory=Witness)
    data_root: Path | None = None


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
    with atomic_folder(run.export) as folder:
        memory = io.BytesIO()  # libhdf5 crashes on a disk that fills up, so it never writes to one
        nir.write(memory, graph)
        (folder / "network.nir").write_bytes(memory.getvalue())
        write_netx(calibration.quantized.network, folder / "network.net")
        network = read_netx(folder / "network.net")  # from here on, what the file says is what runs
        manifest = _measure(network, folder, student, run, dataset, calibration, options)
        write_json(folder / "manifest.json", manifest)
    return manifest


def _calibrate(graph: nir.NIRGraph, student: nn.Module, run: Run, dataset: DataSet) -> Calibration:
    labels = dataset.train.labels.numpy()
    training = run.load_split().train
    chosen = training[stratified(labels[training], min(CALIBRATION_SAMPLES, len(training)), run.recipe.seed)]
    images = dataset.train.subset(torch.from_numpy(chosen))
    return calibrate(fold_average_pooling(graph), student, images, dataset.classes)


def _measure(
    network: LoihiNetwork, folder: Path, student: nn.Module, run: Run,
    dataset: DataSet, calibration: Calibration, options: ExportOptions,
) -> dict[str, Any]:  # fmt: skip
    images = _first(dataset.test, options.samples)
    labels = images.labels.numpy()
    frames = network.input.encode(images.images[:].numpy())
    trace = simulate(network, frames, record="counts")
    accuracy = trace.accuracy(labels)
    floats = float_logits(student, images).argmax(axis=1)
    agreement = float((trace.predictions()[-1] == floats).mean())
    activity = measure_activity(network, trace)
    lava = witness(network, folder / "network.net", frames, labels, options.lava)
    teacher = run.result()["teacher"]
    scores = Scores(float((floats == labels).mean()), accuracy[-1], agreement, len(images))
    waterfall = waterfall_rows(teacher, len(dataset.test), scores, lava)
    return {
        "format": 1,
        "created": now(),
        "target": "loihi2",
        "network": "network.net",
        "sha256": hashlib.sha256((folder / "network.net").read_bytes()).hexdigest(),
        "timesteps": network.timesteps,
        "input": {
            "shape": list(network.input.shape), "kind": network.input.kind, "constant": network.input.constant,
            "maximum": network.input.maximum,
        },
        "layers": layer_rows(network, calibration, activity.to_json(), dict(trace.saturated)),
        "calibration": {
            "part": "training images", "samples": calibration.samples, "clip": calibration.clip,
            "agreement": {str(clip): share for clip, share in calibration.agreement.items()},
        },
        "waterfall": waterfall,
        "accuracy_per_step": accuracy,
        "verification": {"lava": lava},
        "activity": activity.to_json(),
        "energy": estimate_energy(activity, teacher["macs"] if teacher else None),
        "environment": environment(),
    }  # fmt: skip


def _first(images: ImageSet, samples: int | None) -> ImageSet:
    if samples is None or samples >= len(images):
        return images
    return images.subset(torch.arange(samples))
