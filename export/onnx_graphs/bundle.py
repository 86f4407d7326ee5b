"""The folder `RUN/export/onnx`: the graphs of a run, each one verified, and `manifest.json`."""

import hashlib
from pathlib import Path
from typing import Any

import onnxruntime

from neurokd.cache import cache_dir
from neurokd.data.images import DataSet, ImageSet
from neurokd.errors import NeurokdError
from neurokd.export.artefact import first_images
from neurokd.export.network import LoihiNetwork
from neurokd.export.network_files.network_file import read_network
from neurokd.export.onnx_graphs.float_network import export_onnx_float, float_difference
from neurokd.export.onnx_graphs.graph import write_onnx
from neurokd.export.onnx_graphs.run import OnnxFile
from neurokd.export.onnx_graphs.step import step_model
from neurokd.export.onnx_graphs.unrolled import unrolled_model
from neurokd.export.onnx_graphs.witness import witness_onnx
from neurokd.files import atomic_folder, write_json
from neurokd.qcfs import QCFS
from neurokd.runs import Run, environment, now, read_json
from neurokd.spiking import LIFNeurons
from neurokd.training import load_data, load_model

FOLDER = "onnx"  # below RUN/export
FLIPS = 0.01  # share of other predictions that rounding may cause just below a threshold or a level


def export_onnx(run: Run, *, samples: int | None = None, data_root: Path | None = None) -> dict[str, Any]:
    """Write the ONNX graphs of a run that has its network.net, verify each of them, return the manifest.

    `network.onnx` (all steps) and `step.onnx` (one) must give the simulator's integers on the first `samples` test
    images (None: all), `student.onnx` and the teacher's `teacher.onnx` torch's logits. A difference does not raise:
    it stands in the manifest. Raises NeurokdError for a network that ONNX cannot hold exactly.
    """
    path = run.export / "network.net"
    network, checksum = read_network(path), _sha256(path)
    dataset = load_data(run.recipe, data_root)
    images = first_images(dataset.test, samples)
    static = images.images.ndim == 4
    skipped: dict[str, str] = {}
    with atomic_folder(run.export / FOLDER) as folder:
        write_onnx(unrolled_model(network, static=static, spikes=True, sha256=checksum), folder / "network.onnx")
        write_onnx(step_model(network, sha256=checksum), folder / "step.onnx")
        files = [_verified(folder / name, network, images) for name in ("network.onnx", "step.onnx")]
        files.append(_float(folder / "student.onnx", run, dataset, images))
        teacher, reason = _teacher(run)
        if teacher is None:
            skipped["teacher.onnx"] = reason
        else:
            theirs = load_data(teacher.recipe, data_root)
            files.append(_float(folder / "teacher.onnx", teacher, theirs, first_images(theirs.test, samples)))
        manifest = {
            "format": 1,
            "created": now(),
            "target": "onnx",
            "network_sha256": checksum,
            "timesteps": network.timesteps,
            "files": files,
            "skipped": skipped,
            "onnxruntime": onnxruntime.__version__,
            "environment": environment(),
        }
        write_json(folder / "manifest.json", manifest)
    return manifest


def open_verified(network: Path) -> OnnxFile:
    """The network.onnx that `export_onnx` made from the file `network` and verified.

    Raises NeurokdError if there is none, it was made from another network, or it changed since.
    """
    folder = network.parent / FOLDER
    path, again = folder / "network.onnx", f"write it with: neurokd export {network.parent.parent} --target onnx"
    if not path.is_file():
        raise NeurokdError(f"artefact '{network}': has no {FOLDER}/{path.name} yet; {again}")
    manifest = read_json(folder / "manifest.json")
    try:
        checksums = {row["file"]: row["sha256"] for row in manifest["files"]}
    except (KeyError, TypeError) as error:
        raise NeurokdError(f"'{folder / 'manifest.json'}': damaged; {again}") from error
    if manifest.get("network_sha256") != _sha256(network):
        raise NeurokdError(f"file '{path}': was made from another network than '{network}'; {again}")
    if checksums.get(path.name) != _sha256(path):
        raise NeurokdError(f"file '{path}': is not the one that was verified, its checksum differs; {again}")
    return OnnxFile(path)


def _verified(path: Path, network: LoihiNetwork, images: ImageSet) -> dict[str, Any]:
    comparison = witness_onnx(OnnxFile(path), network, images.images[:].numpy())
    passed = comparison.mismatches == 0
    check = {"status": "passed" if passed else "failed", "reason": None if passed else comparison.describe()}
    return {**_file(path), "verification": {**check, "samples": len(images), **comparison.to_json()}}


def _float(path: Path, run: Run, dataset: DataSet, images: ImageSet) -> dict[str, Any]:
    model = load_model(run, dataset)
    export_onnx_float(model, tuple(dataset.test.images.shape[1:]), path)
    found = float_difference(OnnxFile(path), model, images)
    steps = any(isinstance(module, LIFNeurons | QCFS) for module in model.modules())
    count, what = (found["other_predictions"], "predictions") if steps else (found["differing"], "images' logits")
    passed = count <= (FLIPS * len(images) if steps else 0)
    reason = None if passed else f"{count} of {len(images)} {what} are not torch's"
    return {**_file(path), "verification": {"status": "passed" if passed else "failed", "reason": reason, **found}}


def _teacher(run: Run) -> tuple[Run | None, str]:
    """The teacher's run in the cache, or why there is none."""
    entry = run.result()["teacher"]
    if entry is None:
        return None, "the run has no teacher"
    teacher = Run(cache_dir() / "teachers" / entry["key"])
    return (teacher, "") if teacher.finished else (None, f"teacher '{entry['key']}' is not in the cache any more")


def _file(path: Path) -> dict[str, Any]:
    return {"file": path.name, "sha256": _sha256(path), "bytes": path.stat().st_size}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
