"""`neurokd export --target onnx` and `neurokd simulate --backend onnx`, as typed, on a trained run."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from neurokd.cli.main import run as neurokd
from neurokd.export.onnx_graphs import bundle as onnx_bundle
from neurokd.export.onnx_graphs.graph import write_onnx

RECIPE = """
name: small
data: {name: digits, train_samples: 300}
model: {name: vgg-tiny, width: 4}
timesteps: 2
method: {name: kd}
teacher: {model: {name: vgg-tiny, width: 2}, training: {epochs: 1, batch_size: 32, lr: 0.01}}
training: {epochs: 2, batch_size: 32, lr: 0.01}
"""
ONNX = Path("runs/small-001/export/onnx")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `runs/small-001`, its artefact and its graphs, and with the cache of its teacher."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "small.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NEUROKD_CACHE", str(folder / "cache"))
        assert neurokd(["train", "small.yaml", "--no-progress"]) == 0
        assert neurokd(["export", "--target", "onnx", "--lava", "off"]) == 0  # both artefacts
    return folder


@pytest.fixture
def project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the cache of that folder as well."""
    monkeypatch.setenv("NEUROKD_CACHE", str(project / "cache"))
    return project


@pytest.fixture
def without_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the float networks, whose export takes seconds."""
    passed = {"status": "passed", "samples": 0, "differing": 0, "other_predictions": 0, "tolerance": 1e-4}
    entry = {"sha256": "", "bytes": 0, "verification": passed}
    monkeypatch.setattr(onnx_bundle, "_float", lambda path, *_: {"file": path.name, **entry})


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int) -> str:
    """Run a command that must fail with `code` and one line, which is returned."""
    capsys.readouterr()
    assert neurokd(arguments) == code
    error = capsys.readouterr().err
    assert error.startswith("neurokd: ") and error.count("\n") == 1, error
    return error


def test_every_graph_is_written_and_verified(project: Path) -> None:
    manifest = json.loads((ONNX / "manifest.json").read_text())
    assert sorted(path.name for path in ONNX.iterdir()) == [
        "manifest.json", "network.onnx", "step.onnx", "student.onnx", "teacher.onnx",
    ]  # fmt: skip
    checks = {row["file"]: row["verification"] for row in manifest["files"]}
    assert manifest["skipped"] == {} and {check["status"] for check in checks.values()} == {"passed"}
    neurons = 4 * 16 * 16 + 8 * 8 * 8 + 16 * 4 * 4 + 10
    for name in ("network.onnx", "step.onnx"):
        assert (checks[name]["samples"], checks[name]["mismatches"]) == (360, 0)
        assert checks[name]["compared"] == 360 * 2 * (neurons + 10)  # and the read-out
        onnx.checker.check_model(onnx.load(ONNX / name), full_check=True)
    for name in ("student.onnx", "teacher.onnx"):
        assert (checks[name]["samples"], checks[name]["other_predictions"]) == (360, 0)
    assert checks["teacher.onnx"]["differing"] == 0
    assert Path("runs/small-001/export/network.net").is_file()


def test_simulate_runs_the_graph_and_says_what_the_simulator_says(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    results = []
    for backend in ("integer", "onnx"):
        assert neurokd(["simulate", "--backend", backend, "--json"]) == 0
        results.append(json.loads(capsys.readouterr().out))
    integer, graph = results
    assert (integer["backend"], graph["backend"], graph["samples"]) == ("integer", "onnx", 360)
    assert graph["accuracy_per_step"] == integer["accuracy_per_step"]
    assert graph["activity"] == integer["activity"]


def test_the_examples_of_the_page_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/onnx.md").read_text(encoding="utf-8")
    whole, stepwise, float_network, python = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 16, 16), dtype=np.uint8)
    names: dict[str, Any] = {"images": images, "Path": Path}
    shutil.copy("runs/small-001/export/network.net", ONNX)
    monkeypatch.chdir(ONNX)
    exec(whole, names)
    readout = names["readout"]
    exec(stepwise.replace("range(4)", "range(2)"), names)
    assert np.array_equal(names["outputs"]["readout"], readout[-1]) and readout.shape == (2, 7, 10)
    exec(python + "\n" + whole, names)
    assert np.array_equal(names["readout"], readout)
    assert "export_onnx_float" in float_network  # tests/export/test_onnx_float.py runs it


def test_the_report_of_an_export_is_printed(
    project: Path, without_floats: None, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert neurokd(["export", "--target", "onnx", "--samples", "5"]) == 0
    out = capsys.readouterr().out
    assert "0 differing of" in out and "5 images x 2 steps, every neuron of every layer" in out
    shutil.rmtree("cache")
    assert neurokd(["export", "--target", "onnx", "--samples", "5", "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert "is not in the cache any more" in manifest["skipped"]["teacher.onnx"]
    assert len(manifest["files"]) == 3


def test_other_weights_in_the_file_are_exit_code_1(
    project: Path, without_floats: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write_another(model: onnx.ModelProto, path: Path) -> None:
        weight = next(values for values in model.graph.initializer if values.name.startswith("weight/1/"))
        changed = numpy_helper.to_array(weight).copy()
        changed[:, :, 1, 1] += 40
        weight.CopyFrom(numpy_helper.from_array(changed, weight.name))
        write_onnx(model, path)

    monkeypatch.setattr(onnx_bundle, "write_onnx", write_another)
    error = fails(capsys, ["export", "--target", "onnx"], 1)
    assert "network.onnx: integer and onnx: " in error and "step.onnx: integer and onnx step: " in error
    assert "'relu2' at step" in error
    manifest = json.loads((ONNX / "manifest.json").read_text())
    assert manifest["files"][0]["verification"]["mismatches"] > 0


def test_another_float_network_is_exit_code_1(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = shutil.copytree(ONNX, project / "kept")

    def take(names: dict[str, str]) -> None:
        monkeypatch.setattr(onnx_bundle, "export_onnx_float", lambda _, __, path: shutil.copy(names[path.name], path))

    ours, theirs = str(kept / "student.onnx"), str(kept / "teacher.onnx")
    take({"student.onnx": theirs, "teacher.onnx": theirs})
    error = fails(capsys, ["export", "--target", "onnx"], 1)
    assert "student.onnx" in error and "of 360 predictions are not torch's" in error and "teacher.onnx:" not in error
    take({"student.onnx": ours, "teacher.onnx": ours})
    error = fails(capsys, ["export", "--target", "onnx"], 1)
    assert "teacher.onnx: 360 of 360 images' logits are not torch's" in error and "student.onnx:" not in error


def test_a_graph_that_is_not_the_verified_one_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = ONNX / "network.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    assert "is not the one that was verified" in fails(capsys, ["simulate", "--backend", "onnx"], 2)
    manifest = ONNX / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"network_sha256": "', '"network_sha256": "0'))
    assert "was made from another network" in fails(capsys, ["simulate", "--backend", "onnx"], 2)
    manifest.write_text('{"files": 3}')
    assert "manifest.json': damaged" in fails(capsys, ["simulate", "--backend", "onnx"], 2)
    shutil.rmtree(ONNX)
    error = fails(capsys, ["simulate", "--backend", "onnx"], 2)
    assert "has no onnx/network.onnx yet; write it with: neurokd export" in error and "--target onnx" in error


def test_bits_of_graphs_are_those_of_the_artefact(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert neurokd(["export", "--target", "onnx", "--weight-bits", "4"]) == 2
    assert "has been exported, and its graphs hold those integers" in capsys.readouterr().err
