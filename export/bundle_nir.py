"""The artefact of a NIR file that any framework may have saved: read, rewritten, quantised, verified."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nir

from neurokd.data.images import ImageSet
from neurokd.errors import NeurokdError
from neurokd.export.artefact import ExportOptions, Reference, first_images, measure, write_networks
from neurokd.export.contract.layers_of_nir import layers_of_nir
from neurokd.export.contract.rules import RULES, WEIGHT_RULES, require
from neurokd.export.contract.target import find_target
from neurokd.export.network_files.hdf5_fields import located
from neurokd.export.nir_graphs.common import common_nodes, fold
from neurokd.export.nir_graphs.data import NirData, data_config, load_nir_data, random_data
from neurokd.export.nir_graphs.io import read_nir
from neurokd.export.nir_graphs.run_float import float_answers
from neurokd.export.nir_graphs.time import timed
from neurokd.export.passes.infer_shapes import infer_shapes
from neurokd.export.proof.forms import float_forms
from neurokd.export.proof.stages import of_graph
from neurokd.export.quantization.calibrate import Calibration, FloatArray, calibrate, uncalibrated
from neurokd.export.quantization.quantize import encoding_of
from neurokd.export.quantization.scale_search import ScaleOptions
from neurokd.files import atomic_folder, write_json


@dataclass(frozen=True)
class NirOptions:
    """`calibrate` is a data set or a recipe file; `dt` (seconds) and `timesteps` replace those of the file."""

    out: Path | None = None
    calibrate: str | None = None
    dt: float | None = None
    timesteps: int | None = None
    export: ExportOptions = field(default_factory=ExportOptions)


def nir_folder(path: Path, out: Path | None = None) -> Path:
    """Where the artefact of the file `path` goes: `out`, or `NAME-export` beside it.

    Raises NeurokdError for a folder that holds something else, which an export would replace.
    """
    folder = out or path.with_name(f"{path.stem}-export")
    if folder.exists() and not (folder / "manifest.json").is_file() and not _empty(folder):
        raise NeurokdError(f"'{folder}': exists and holds no artefact, so it is not replaced; give another --out")
    return folder


def export_nir(path: Path, options: NirOptions | None = None) -> dict[str, Any]:
    """Export the NIR file `path` into `nir_folder(path, options.out)` and return the manifest.

    Without data the weights are not clipped, and the integers are compared with the float graph on random inputs.
    Raises NeurokdError for a file that is damaged or hostile, a graph without `dt` or `timesteps`, and every node
    that keeps it from the target, by name. A mismatch with Lava does not raise: it stands in the manifest.
    """
    options = options or NirOptions()
    out = nir_folder(path, options.out)
    graph = read_nir(path)
    try:
        with located("graph"):
            graph, data, notes = _prepared(timed(graph, options.dt, options.timesteps), options)
        folded = fold(graph)
        calibration = _calibrate(graph, folded, data, options.export.scales)
        test = first_images(data.test, options.export.samples)
        stages = (of_graph("float graph", graph, test, data.encoding), *float_forms(folded, calibration.chosen, test))
        reference = Reference(stages, test, labelled=data.train is not None)
        with atomic_folder(out) as folder:
            network = write_networks(folder, graph, calibration.quantized.network)
            manifest = measure(network, folder, calibration, reference, options.export)
            manifest["notes"] = [*notes, *calibration.notes]
            config = data_config(options.calibrate) if options.calibrate is not None else None
            manifest["data"] = config.model_dump(mode="json") if config else None
            manifest["source"] = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            write_json(folder / "manifest.json", manifest)
    except NeurokdError as error:
        raise type(error)(f"'{path}': {error}") from error
    return manifest


def _prepared(graph: nir.NIRGraph, options: NirOptions) -> tuple[nir.NIRGraph, NirData, list[str]]:
    """The graph in our nodes, with shapes and the encoding of its input, the data, and what its user should know.

    Raises NeurokdError with what is in the way.
    """
    encoding, data = encoding_of(graph), None
    if options.calibrate is not None:
        data = load_nir_data(data_config(options.calibrate), graph.metadata["timesteps"], options.export.data_root)
        if "input_maximum" in graph.metadata and encoding != data.encoding:
            raise NeurokdError(f"graph: its inputs are {encoding}, the data's {data.encoding}; use the data it is for")
        encoding = data.encoding
    graph = common_nodes(graph, data.shape if data else None)
    graph.metadata |= {"input_maximum": encoding.maximum, "input_unit": encoding.unit}
    notes = require(layers_of_nir(graph), find_target(options.export.target), RULES + WEIGHT_RULES)
    graph = infer_shapes(graph)
    return graph, data or random_data(_image(graph), encoding), notes


def _image(graph: nir.NIRGraph) -> tuple[int, int, int]:
    (entry,) = (node for node in graph.nodes.values() if isinstance(node, nir.Input))
    channels, height, width = entry.input_type["input"]
    return int(channels), int(height), int(width)


def _calibrate(graph: nir.NIRGraph, folded: nir.NIRGraph, data: NirData, scales: ScaleOptions | None) -> Calibration:
    if data.train is None:
        return uncalibrated(folded, data.labels, scales or ScaleOptions())
    return calibrate(folded, _answers(graph, data.train, data), data.train, data.labels, scales)


def _answers(graph: nir.NIRGraph, images: ImageSet, data: NirData) -> FloatArray:
    answers = float_answers(graph, images, data.encoding)
    if data.labels and answers.shape[1] != len(data.labels):
        raise NeurokdError(f"graph: {answers.shape[1]} outputs, the data have {len(data.labels)} classes")
    return answers


def _empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
