"""The artefact of a run: `network.net`, `network.nir` and `manifest.json`, written whole and verified."""

from typing import Any

from neurokd.errors import NeurokdError
from neurokd.export.artefact import ExportOptions, Reference, first_images, measure, write_networks
from neurokd.export.contract.layers_of_torch import layers_of_torch
from neurokd.export.contract.rules import require
from neurokd.export.contract.target import find_target
from neurokd.export.opened import OpenedRun, open_run
from neurokd.export.proof.forms import float_forms
from neurokd.export.proof.stages import of_graph, of_student
from neurokd.export.qat.train import trained_integers, was_begun
from neurokd.export.quantization.calibrate import Calibration, calibrate, float_logits
from neurokd.export.quantization.scale_search import ScaleOptions
from neurokd.files import atomic_folder, write_json
from neurokd.runs import Run

__all__ = ["ExportOptions", "export_run"]


def export_run(run: Run, options: ExportOptions | None = None) -> dict[str, Any]:
    """Export the student of a finished run into `RUN/export` and return the manifest.

    Where training in integers was begun (`RUN/qat`), these integers are exported, and no scales are searched.
    Raises NeurokdError for a run that is unfinished, data that changed since training, or a layer that cannot be
    lowered or run on the target. A mismatch with Lava does not raise: it stands in the manifest.
    """
    options = options or ExportOptions()
    opened = open_run(run, options.data_root)
    notes = require(layers_of_torch(opened.student.net, opened.dataset.shape)[0], find_target(options.target))
    test = first_images(opened.dataset.test, options.samples)
    calibration = _calibration(opened, options.scales)
    stages = (
        of_student("float student", opened.student, test),
        of_graph("batch norm folded", opened.graph, test, opened.dataset.encoding, "the NIR graph in network.nir"),
        *float_forms(opened.folded, calibration.chosen, test),
    )
    teacher = opened.result["teacher"]
    reference = Reference(stages, test, teacher=teacher, teacher_samples=len(opened.dataset.test))
    with atomic_folder(run.export) as folder:
        network = write_networks(folder, opened.graph, calibration.quantized.network)
        manifest = measure(network, folder, calibration, reference, options) | {"notes": [*notes, *calibration.notes]}
        write_json(folder / "manifest.json", manifest)
    return manifest


def _calibration(opened: OpenedRun, scales: ScaleOptions | None) -> Calibration:
    """The integers that were trained or, where there are none, the quantisation of the student that loses least."""
    if not was_begun(opened.run):
        training = opened.calibration_images()
        wanted = float_logits(opened.student, training)
        return calibrate(opened.folded, wanted, training, opened.dataset.classes, scales)
    if scales is not None:
        raise NeurokdError(
            f"run '{opened.run.path}': was trained in integers, which fixed its bits and scales; export it without "
            f"options for them, or delete '{opened.run.qat.path}'"
        )
    return trained_integers(opened)
