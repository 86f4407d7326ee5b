"""The parts of an artefact that every export writes: the two networks, and a manifest of what they do."""

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nir
import torch

from neurokd.data.images import ImageSet
from neurokd.export.manifest import layer_rows, waterfall_rows
from neurokd.export.network import LoihiNetwork
from neurokd.export.network_files.network_file import read_network, write_network
from neurokd.export.proof.stages import Stage, of_network
from neurokd.export.proof.waterfall import first_loss
from neurokd.export.proof.witness import Witness, witness
from neurokd.export.quantization.calibrate import Calibration
from neurokd.export.quantization.scale_search import ScaleOptions
from neurokd.hardware.activity import measure_activity
from neurokd.hardware.energy import estimate_energy
from neurokd.hardware.simulator import simulate
from neurokd.runs import environment, now


@dataclass(frozen=True)
class ExportOptions:
    """`samples`: test images for every stage (None: all); `lava`: how the witness is asked.

    `scales`: what is tried, None what `ScaleOptions` has by default.
    """

    samples: int | None = None
    lava: Witness = field(default_factory=Witness)
    data_root: Path | None = None
    scales: ScaleOptions | None = None
    target: str = "loihi2"


@dataclass(frozen=True)
class Reference:
    """What the integers are held against: the float `stages` of the network, the first the trained one, on `images`.

    `labelled`: the images have true labels; without, they are random. `teacher` is its entry in `result.json`, if
    it has one, measured on `teacher_samples` images.
    """

    stages: tuple[Stage, ...]
    images: ImageSet
    labelled: bool = True
    teacher: dict[str, Any] | None = None
    teacher_samples: int = 0


def write_networks(folder: Path, graph: nir.NIRGraph, network: LoihiNetwork) -> LoihiNetwork:
    """Write `network.nir` and `network.net` and return what the latter says: from here on that is what runs."""
    memory = io.BytesIO()  # libhdf5 crashes on a disk that fills up, so it never writes to one
    nir.write(memory, graph)
    (folder / "network.nir").write_bytes(memory.getvalue())
    write_network(network, folder / "network.net")
    return read_network(folder / "network.net")


def measure(
    network: LoihiNetwork, folder: Path, calibration: Calibration, reference: Reference, options: ExportOptions
) -> dict[str, Any]:
    """The manifest of `network`, which lies in `folder`: run it on the images, on Lava as well, and compare."""
    images = reference.images
    labels = images.labels.numpy() if reference.labelled else None
    frames = network.input.encode(images.images[:].numpy())
    trace = simulate(network, frames, record="counts")
    activity = measure_activity(network, trace)
    seen = witness(network, folder / "network.net", frames, labels, options.lava)
    stages = (*reference.stages, of_network("quantised", network, trace))
    loss = first_loss(stages, labels)
    return {
        "format": 1,
        "created": now(),
        "target": options.target,
        "network": "network.net",
        "sha256": hashlib.sha256((folder / "network.net").read_bytes()).hexdigest(),
        "timesteps": network.timesteps,
        "input": {
            "shape": list(network.input.shape), "kind": network.input.kind, "constant": network.input.constant,
            "maximum": network.input.maximum, "shift": network.input.shift,
        },
        "layers": layer_rows(network, calibration, activity.to_json(), dict(trace.saturated)),
        "calibration": calibration.to_json(),
        "waterfall": waterfall_rows(reference.teacher, reference.teacher_samples, stages, labels, seen),
        "first_loss": loss.to_json() if loss else None,
        "accuracy_per_step": [] if labels is None else trace.accuracy(labels),
        "verification": {"lava": seen},
        "activity": activity.to_json(),
        "energy": estimate_energy(activity, reference.teacher["macs"] if reference.teacher else None),
        "environment": environment(),
    }  # fmt: skip


def first_images(images: ImageSet, samples: int | None) -> ImageSet:
    """The first `samples` images, or all."""
    if samples is None or samples >= len(images):
        return images
    return images.subset(torch.arange(samples))
