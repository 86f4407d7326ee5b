"""A NIR file the whole way: to a folder with a manifest, to integers, to Lava."""

import dataclasses
import json
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
import torch
from torch import nn

from neurokd.cli.main import run as neurokd
from neurokd.errors import NeurokdError
from neurokd.export.artefact import ExportOptions
from neurokd.export.bundle_nir import NirOptions, export_nir
from neurokd.export.contract.check import check_nir
from neurokd.export.contract.target import find_target
from neurokd.export.lower import lower
from neurokd.export.network_files.network_file import read_network, write_network
from neurokd.export.nir_graphs.common import common_nodes, fold
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.proof.verify import compare
from neurokd.export.proof.witness import Witness
from neurokd.export.quantization.quantize import quantize
from neurokd.hardware.lava.runner import LavaJob, run_lava_many
from neurokd.hardware.simulator import simulate
from neurokd.neurons import LIF
from neurokd.spiking import to_spiking

from .nir_graphs import affine, chain, cuba, li, lif

WITHOUT_LAVA = ExportOptions(samples=50, lava=Witness(mode="off"))


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """An untrained network over the digits, as another framework would write it: a flat input, spikes at the end."""
    nodes = (nir.Linear(affine(30, 256, 1).weight), lif(30), affine(10, 30, 2), lif(10))
    nir.write(tmp_path / "model.nir", chain(*nodes, shape=(256,)))
    return tmp_path / "model.nir"


def test_with_data_the_manifest_has_accuracies(digits: Path) -> None:
    manifest = export_nir(digits, NirOptions(calibrate="digits", export=WITHOUT_LAVA))
    folder = digits.parent / "model-export"
    assert {path.name for path in folder.iterdir()} == {"network.net", "network.nir", "manifest.json"}
    assert json.loads((folder / "manifest.json").read_text()) == json.loads(json.dumps(manifest))
    stages = [row["stage"] for row in manifest["waterfall"] if row["stage"] != "input rounded"]
    assert stages == ["float graph", "pooling folded", "weights rounded", "neurons rounded", "quantised"]
    assert all(0.0 <= row["accuracy"] <= 1.0 and row["samples"] == 50 for row in manifest["waterfall"])
    assert manifest["waterfall"][0]["agreement"] == manifest["waterfall"][1]["agreement"] == 1.0
    assert len(manifest["accuracy_per_step"]) == manifest["timesteps"] == 5
    calibration = manifest["calibration"]
    assert (calibration["samples"], calibration["search"], calibration["weight_bits"]) == (512, "best", 8)
    tried = {(one["method"], one["input_bits"]) for one in calibration["candidates"]}
    assert tried >= {(rule, bits) for rule in ("min-max", "percentile", "mse") for bits in (6, 7, 8)}
    errors = [one["logit_error"] for one in calibration["candidates"]]
    assert errors == sorted(errors) and set(calibration["clip"]) == {row["name"] for row in manifest["layers"]}
    assert manifest["source"]["file"] == "model.nir"
    network = read_network(folder / "network.net")
    assert network.input.shape == (1, 16, 16) and network.labels == tuple("0123456789")
    assert network.readout == "3.counts"


def test_without_data_the_inputs_are_random(digits: Path, tmp_path: Path) -> None:
    options = NirOptions(out=tmp_path / "out", timesteps=3, export=WITHOUT_LAVA)
    manifest = export_nir(digits, options)
    assert manifest["timesteps"] == 3 and manifest["accuracy_per_step"] == [] and manifest["data"] is None
    assert {row["accuracy"] for row in manifest["waterfall"]} == {None}
    assert manifest["waterfall"][-1]["stage"] == "quantised" and 0.0 <= manifest["waterfall"][-1]["agreement"] <= 1.0
    calibration = manifest["calibration"]
    assert "random" in calibration["part"] and calibration["rounding"] == "nearest"
    assert set(calibration["clip"].values()) == {1.0} and calibration["candidates"] == []
    assert export_nir(digits, options)["sha256"] == manifest["sha256"]  # again, over the first one


def test_an_artefact_is_simulated_on_the_data_that_it_names(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", str(digits), "--calibrate", "digits", "--lava", "off", "--samples", "20", "--json"]
    assert neurokd(command) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["data"]["name"] == "digits"
    folder = digits.parent / "model-export"
    for artefact in (folder, folder / "network.net"):
        assert neurokd(["simulate", str(artefact), "--samples", "20", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["samples"] == 20 and result["accuracy_per_step"] == manifest["accuracy_per_step"]
    for data, message in (
        ({"data": None}, "manifest.json': names no data; export the NIR file again with --calibrate"),
        ({}, "manifest.json': names no data"),
        ({"data": {"name": "no set"}}, "manifest.json': its data are none"),
    ):
        (folder / "manifest.json").write_text(json.dumps(data))
        assert neurokd(["simulate", str(folder)]) == 2
        assert message in capsys.readouterr().err
    (folder / "manifest.json").unlink()
    assert neurokd(["simulate", str(folder / "network.net")]) == 2
    assert "lies in no run folder and beside no manifest.json" in capsys.readouterr().err


def test_the_scales_are_those_that_are_asked_for(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--scale-search", "mse", "--weight-bits", "4", "--input-bits", "7", "--per-channel"]
    command = ["export", str(digits), "--calibrate", "digits", "--lava", "off", "--samples", "20", "--json", *asked]
    assert neurokd(command) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert (manifest["input"]["maximum"], manifest["input"]["shift"]) == (127, 1)
    calibration = manifest["calibration"]
    assert [(one["method"], one["input_bits"]) for one in calibration["candidates"]] == [("mse", 7)]
    assert calibration["weight_bits"] == 4 and calibration["per_channel"] is True
    network = read_network(digits.parent / "model-export" / "network.net")
    assert network.input.shift == 1 and network.populations[0].threshold.shape == (30,)
    assert len(np.unique(network.connections[0].weight)) <= 15  # what 4 bits with a sign can tell apart
    assert any("thresholds that differ by channel; Lava runs them" in note for note in manifest["notes"])


def test_the_command_prints_tables_and_names_wrong_options(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert neurokd(["export", str(digits), "--lava", "off", "--out", str(digits.parent / "out")]) == 0
    printed = capsys.readouterr().out
    assert "float graph" in printed and "random inputs" in printed and "not verified on Lava" in printed
    for wrong, message in (
        (["some-run", "--dt", "1"], "--dt: is for a NIR file"),
        ([str(digits), "--target", "onnx"], "--target onnx: is for a run"),
        ([str(digits), "--calibrate", "digit"], "--calibrate 'digit': is neither a recipe file nor a data set"),
        ([str(digits), "--calibrate", "arrays"], "--calibrate 'arrays': needs more than a name"),
        ([str(digits.parent / "none.nir")], "none.nir': no such file"),
    ):
        assert neurokd(["export", *wrong]) == 2
        assert message in capsys.readouterr().err


def test_a_differing_spike_on_lava_is_exit_code_1(
    digits: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from neurokd.export import bundle_nir

    failed = {"status": "failed", "reason": "'1' at step 2", "samples": 1, "compared": 9, "mismatches": 1,
              "models": "stock", "versions": {}, "timesteps": 5}  # fmt: skip
    measured = bundle_nir.measure
    monkeypatch.setattr(bundle_nir, "measure", lambda *a: measured(*a) | {"verification": {"lava": failed}})
    assert neurokd(["export", str(digits), "--lava", "off"]) == 1
    assert "'1' at step 2" in capsys.readouterr().err


def test_thresholds_by_channel_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = (affine(3, 4), lif(3, threshold=[1, 2, 3]), affine(2, 3))
    nir.write(tmp_path / "channels.nir", chain(*nodes))
    assert neurokd(["export", str(tmp_path / "channels.nir"), "--lava", "off"]) == 0
    note = "layer '1': thresholds that differ by channel; Lava runs them; Intel documents one value per population"
    assert f"note: {note}" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "channels-export" / "manifest.json").read_text())
    assert manifest["notes"] == [note]
    assert manifest["layers"][0]["threshold"] == pytest.approx(3 * manifest["layers"][0]["threshold_min"], abs=3)


def test_our_own_graph_comes_back_as_the_same_integers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64, 10)
    )  # fmt: skip
    graph = lower(to_spiking(ann, LIF(), 3).eval(), (1, 16, 16))
    nir.write(tmp_path / "ours.nir", graph)
    export_nir(tmp_path / "ours.nir", NirOptions(export=WITHOUT_LAVA))
    wanted, got = quantize(fold_average_pooling(graph)).network, read_network(tmp_path / "ours-export" / "network.net")
    assert [p.name for p in got.populations] == [p.name for p in wanted.populations]
    for ours, theirs in zip(wanted.connections, got.connections, strict=True):
        assert np.array_equal(ours.weight, theirs.weight)
    assert got.logit_scale == wanted.logit_scale and got.input == wanted.input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 1.0}, "layer '1': neurons with decay -499"),
        ({"dt": 0.0}, "graph: dt is 0"),
        ({"timesteps": 0}, "graph: timesteps is 0"),
    ],
)
def test_what_does_not_fit_is_refused(digits: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(NeurokdError) as caught:
        export_nir(digits, NirOptions(**options))  # type: ignore[arg-type]
    assert message in str(caught.value) and "model.nir'" in str(caught.value)


def test_a_file_without_steps_says_what_to_add(digits: Path) -> None:
    with h5py.File(digits, "a") as file:
        del file["node/metadata"]
    with pytest.raises(NeurokdError, match="metadata without dt and timesteps; give --dt and --timesteps, or add"):
        export_nir(digits)
    assert export_nir(digits, NirOptions(dt=1e-3, timesteps=2, export=WITHOUT_LAVA))["timesteps"] == 2


def test_a_soft_reset_in_the_metadata_is_refused_where_the_chip_has_none(tmp_path: Path) -> None:
    soft = lif(3)
    soft.metadata = {"reset_mechanism": "subtract"}
    nir.write(tmp_path / "soft.nir", chain(affine(3, 4), soft, affine(2, 3)))
    with pytest.raises(NeurokdError, match="layer '1': soft reset cannot run on loihi2"):
        export_nir(tmp_path / "soft.nir")
    verdict = check_nir(tmp_path / "soft.nir", find_target("loihi2-microcode"))
    assert verdict.deployable and [finding.rule for finding in verdict.findings] == ["custom neuron"]
    options = NirOptions(export=dataclasses.replace(WITHOUT_LAVA, target="loihi2-microcode"))
    manifest = export_nir(tmp_path / "soft.nir", options)
    assert manifest["notes"] == ["layer '1': soft reset needs custom microcode"]
    network = read_network(tmp_path / "soft-export" / "network.net")
    assert [(one.reset, int(one.initial)) for one in network.populations] == [("soft", 0), ("hard", 0)]


@pytest.mark.parametrize("initial", [1.0, -0.1, "soon"])
def test_a_start_that_is_no_fraction_is_refused(tmp_path: Path, initial: object) -> None:
    neurons = lif(3)
    neurons.metadata = {"initial": initial}
    nir.write(tmp_path / "start.nir", chain(affine(3, 4), neurons, affine(2, 3)))
    with pytest.raises(NeurokdError, match=r"metadata: initial is .*, allowed is a fraction of the threshold"):
        export_nir(tmp_path / "start.nir")


@pytest.mark.parametrize("pool", [nir.AvgPool2d, nir.SumPool2d])
def test_one_number_is_a_pooling_window_of_both_axes(pool: type, tmp_path: Path) -> None:
    """As SpikingJelly and snnTorch write it."""
    sizes = {
        "one": (np.array(2), np.array(2), np.array(0)),
        "pair": (np.array([2, 2]), np.array([2, 2]), np.zeros(2, int)),
    }
    hashes = set()
    for name, (kernel, stride, padding) in sizes.items():
        nodes = (pool(kernel, stride, padding), nir.Flatten({"input": np.array([2, 2, 2])}, 0), affine(3, 8), lif(3))
        nir.write(tmp_path / f"{name}.nir", chain(*nodes, shape=(2, 4, 4)), compression=None)
        hashes.add(export_nir(tmp_path / f"{name}.nir", NirOptions(export=WITHOUT_LAVA))["sha256"])
    assert len(hashes) == 1


def test_a_graph_in_which_spikes_meet_currents_becomes_integers(tmp_path: Path) -> None:
    """`1` feeds `2` and, without weights, the neurons `3`."""
    graph = chain(affine(6, 4), lif(6), affine(6, 6, 1), lif(6), affine(2, 6, 2))
    graph = nir.NIRGraph(dict(graph.nodes), [*graph.edges, ("1", "3")], metadata=graph.metadata, type_check=False)
    nir.write(tmp_path / "graph.nir", graph)
    manifest = export_nir(tmp_path / "graph.nir", NirOptions(export=WITHOUT_LAVA))
    assert [row["name"] for row in manifest["layers"]] == ["1", "3", "4"]
    network = read_network(tmp_path / "graph-export" / "network.net")
    matrix, identity = network.incoming("3")
    assert (matrix.source, identity.source) == ("1", "1")
    assert np.array_equal(identity.weight, identity.weight[0, 0] * np.eye(6, dtype=int)) and identity.weight[0, 0] > 0


NETWORKS = {
    "CubaLIF, CubaLI": (affine(12, 4, 1, bias=0.0), cuba(12, 5e-3), affine(3, 12, 2, bias=0.0), nir.CubaLI(
        np.full(3, 2e-3), np.full(3, 3e-3), np.full(3, 4.0), np.zeros(3), np.full(3, 2.0))),
    "channel thresholds, LI": (affine(12, 4, 1), lif(12, threshold=np.linspace(0.5, 3.0, 12)), affine(3, 12, 2), li(3)),
    "Threshold, spikes at the end": (affine(12, 4, 1), nir.Threshold(np.full(12, 0.4)), affine(3, 12, 2), lif(3)),
}  # fmt: skip


@pytest.mark.lava
def test_every_kind_of_neuron_runs_on_lava_as_in_the_simulator(tmp_path: Path) -> None:
    jobs, networks = [], []
    for index, nodes in enumerate(NETWORKS.values()):
        network = quantize(fold(common_nodes(chain(*nodes, timesteps=12)))).network
        write_network(network, tmp_path / f"{index}.net")
        pixels = np.random.default_rng(index).integers(0, 256, (6, 4, 1, 1))
        networks.append(network)
        jobs.append(LavaJob(tmp_path / f"{index}.net", network.input.encode(pixels)))
    for network, job, theirs, name in zip(networks, jobs, run_lava_many(jobs), NETWORKS, strict=True):
        ours = simulate(network, job.inputs)
        assert ours.spikes["1"].any() and ours.readout is not None and ours.readout.any()
        assert compare(ours, theirs).mismatches == 0, f"{name}: {compare(ours, theirs).describe()}"
