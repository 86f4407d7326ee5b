"""Networks that other frameworks saved, with what they computed: our evaluator spikes as they do, spike by spike.

`benchmarks/nir_networks.py` wrote the files; each framework computed in 64-bit floats.
"""

import json
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

from neurokd.export.contract.check import check_nir
from neurokd.export.contract.target import find_target
from neurokd.export.nir_graphs.common import common_nodes, fold
from neurokd.export.nir_graphs.io import read_nir
from neurokd.export.nir_graphs.run_float import FloatTrace, run_float
from neurokd.export.nir_graphs.time import timed
from neurokd.export.quantization.quantize import quantize

FOLDER = Path(__file__).parents[1] / "data" / "nir"
NAMES = sorted(path.stem for path in FOLDER.glob("*.nir"))


def load(name: str) -> tuple[nir.NIRGraph, dict[str, np.ndarray]]:  # type: ignore[type-arg]
    with np.load(FOLDER / f"{name}.npz") as file:
        recorded = dict(file)
    about = json.loads(str(recorded["about"]))
    return timed(read_nir(FOLDER / f"{name}.nir"), about["dt"], about["timesteps"]), recorded


def run(graph: nir.NIRGraph, pixels: np.ndarray) -> FloatTrace:  # type: ignore[type-arg]
    return run_float(graph, torch.from_numpy(pixels).double().unsqueeze(0) / 255)


def differing(trace: FloatTrace, recorded: dict[str, np.ndarray]) -> int:  # type: ignore[type-arg]
    """How many spikes of all populations differ."""
    assert {f"spikes {name}" for name in trace.spikes} == {key for key in recorded if key.startswith("spikes ")}
    count = 0
    for name, spikes in trace.spikes.items():
        theirs = np.unpackbits(recorded[f"spikes {name}"], count=spikes.numel()).reshape(spikes.shape)
        assert 0.01 < theirs.mean() < 0.9
        count += int((theirs != spikes.numpy()).sum())
    return count


def test_every_framework_is_there() -> None:
    assert {name.split("-")[0] for name in NAMES} == {"norse", "sinabs", "snntorch", "spikingjelly"}
    assert sorted(path.stem for path in FOLDER.glob("*.npz")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_spikes_as_its_framework(name: str) -> None:
    graph, recorded = load(name)
    graph = common_nodes(graph, recorded["pixels"].shape[1:])
    trace = run(graph, recorded["pixels"])
    assert differing(trace, recorded) == 0
    outputs = torch.from_numpy(recorded["outputs"])
    outputs = outputs if name == "norse-lifbox" else outputs.cumsum(0)  # a read-out that leaks is not summed
    assert torch.allclose(trace.answer, outputs.double(), rtol=0.0, atol=1e-6)
    assert quantize(fold(graph)).network.timesteps == graph.metadata["timesteps"]


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("-soft")])
def test_without_the_word_soft_the_spikes_differ(name: str) -> None:
    """The file alone would be taken for neurons with NIR's own reset."""
    graph, recorded = load(name)
    for node in graph.nodes.values():
        node.metadata = {}
    trace = run(common_nodes(graph, recorded["pixels"].shape[1:]), recorded["pixels"])
    assert differing(trace, recorded) > 100


@pytest.mark.parametrize("name", NAMES)
def test_the_check_allows_what_the_chip_has(name: str, tmp_path: Path) -> None:
    graph, _ = load(name)
    nir.write(tmp_path / "timed.nir", graph, compression=None)
    verdict = check_nir(tmp_path / "timed.nir", find_target("loihi2"))
    rules = {finding.rule for finding in verdict.violations}
    assert rules == ({"reset"} if name.endswith("-soft") else set())
