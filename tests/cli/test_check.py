"""neurokd check as a user types it: exit codes, tables, JSON, and one line for whatever is wrong."""

import json
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
import torch

from neurokd.cli.main import run as neurokd
from neurokd.export.lower import lower
from neurokd.files import write_json
from neurokd.models import build_model
from neurokd.networks import build_student
from neurokd.neurons import LIF
from neurokd.recipe import parse_recipe
from neurokd.runs import Run, create_run
from neurokd.spiking import to_spiking

RECIPE = """
name: small
data: {name: DATA}
model: {name: vgg-tiny, width: 4}
timesteps: 2
"""
Output = pytest.CaptureFixture[str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the current one, with a recipe for a data set that is not on the disk."""
    (tmp_path / "small.yaml").write_text(RECIPE.replace("DATA", "cifar10"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEUROKD_DATA", str(tmp_path / "no data"))
    return tmp_path


def finished_run(folder: Path, scale: float = 1.0) -> Run:
    """A finished run whose weights are those of a new model, times `scale` in its second convolution."""
    import yaml

    run = create_run(parse_recipe(yaml.safe_load(RECIPE.replace("DATA", "digits"))), folder)
    model = build_student(run.recipe, (1, 16, 16), 10)
    with torch.no_grad():
        model.get_submodule("net.conv2").weight.mul_(scale)
    run.save_weights(model)
    write_json(run.path / "result.json", {"classes": list("0123456789")})
    return run


def fails(output: Output, arguments: list[str]) -> str:
    """Run a command that must fail as wrong input; return its one line."""
    output.readouterr()
    assert neurokd(arguments) == 2
    error = output.readouterr().err
    assert error.startswith("neurokd: ") and error.count("\n") == 1, error
    return error


def test_a_good_recipe_is_deployable_without_its_data(project: Path, capsys: Output) -> None:
    assert neurokd(["check", "small.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "recipe 'small' can run on loihi2" in printed
    assert "an answer after 6 steps" in printed  # T = 2 and four populations
    assert "4x32x32" in printed and "weights are checked when they are trained" in printed


def test_violations_exit_with_1_and_name_their_layers(project: Path, capsys: Output) -> None:
    arguments = ["check", "small.yaml", "--set", "model={name: sew-resnet18, width: 4, stem: small}"]
    assert neurokd(arguments) == 1
    printed = capsys.readouterr().out
    assert "cannot run on loihi2: 8 violations" in printed and "blocks.4_2" in printed
    assert neurokd([*arguments, "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["deployable"] is False and result["layers"] == [] and len(result["findings"]) == 8
    first = result["findings"][0]
    assert first["layer"] == "blocks.1_1" and first["severity"] == "error"
    assert first["text"] == (
        "layer 'blocks.1_1': spike-element-wise addition of 'blocks.1_1.relu2' and 'blocks.1_1.shortcut', 0, 1 or 2, "
        "cannot run on loihi2; add before the neurons, as a ResNet does"
    )


def test_soft_reset_needs_another_target(project: Path, capsys: Output) -> None:
    soft = ["check", "small.yaml", "--json", "--set", "neuron={reset: soft}"]
    assert neurokd(soft) == 1
    assert {finding["rule"] for finding in json.loads(capsys.readouterr().out)["findings"]} == {"reset"}
    assert neurokd([*soft, "--target", "loihi2-microcode"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {finding["severity"] for finding in result["findings"]} == {"note"}
    assert "needs custom microcode" in result["findings"][0]["text"]
    assert result["target"]["resets"] == ["hard"] and result["target"]["weight"] == 254


def test_logits_for_other_classes(project: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("models_of_seven.py").write_text(
        "from torch import nn\n"
        "def seven(input_shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 8), nn.ReLU(), nn.Linear(8, 7))\n"
    )
    monkeypatch.syspath_prepend(".")
    assert neurokd(["check", "small.yaml", "--set", "model={name: 'models_of_seven:seven'}", "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["rule"], finding["found"]) == ("classes", "7 logits for 10 classes")


def test_json_of_a_run_has_the_integers(project: Path, capsys: Output) -> None:
    finished_run(project / "runs" / "small-001")
    assert neurokd(["check", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["weights_checked"] and result["latency_steps"] == 2 + 4 and result["depth"] == 4
    layers = {layer["name"]: layer for layer in result["layers"]}
    assert layers["relu1"]["neurons"] == 4 * 16 * 16 and layers["relu1"]["fan_in"] == 9
    assert 2 <= layers["relu1"]["integers"]["weight"] <= 254
    assert layers["classifier"]["integers"]["threshold"] is None
    assert neurokd(["check", "small-001"]) == 0
    assert "largest weight" in capsys.readouterr().out


@pytest.mark.parametrize(("scale", "rule"), [(float("nan"), "finite"), (0.0, "not all zero")])
def test_a_run_whose_weights_are_broken(project: Path, capsys: Output, scale: float, rule: str) -> None:
    finished_run(project / "runs" / "small-001", scale)
    assert neurokd(["check", "--json"]) == 1
    assert [finding["rule"] for finding in json.loads(capsys.readouterr().out)["findings"]] == [rule]


def test_a_run_without_weights_is_checked_by_its_layers(project: Path, capsys: Output) -> None:
    run = finished_run(project / "runs" / "small-001")
    run.weights.unlink()
    assert neurokd(["check", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights_checked"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check"], "no finished run"),
        (["check", "nowhere.yaml"], "no such file"),
        (["check", "nothing"], "run 'nothing'"),
        (["check", "nothing.nir"], "no such file"),
        (["check", "small.yaml", "--target", "tpu"], "allowed are loihi2, loihi2-microcode, lava-cpu"),
        (["check", "small.yaml", "--set", "model.name=vgg-tinny"], "vgg-tiny"),
        (["check", "small.yaml", "--set", "timesteps=0"], "timesteps"),
        (["check", "x.nir", "--set", "timesteps=1"], "name the recipe too"),
        (["check", "small.yaml", "--set", "data={name: arrays, path: nowhere}"], "there is no folder"),
    ],
)
def test_wrong_usage_is_one_line(project: Path, capsys: Output, arguments: list[str], message: str) -> None:
    assert message in fails(capsys, arguments)


# NIR files


def graph(width: int = 4) -> nir.NIRGraph:
    """A network of ours over a map that is not square, as the export writes it."""
    student = to_spiking(build_model("vgg-tiny", (1, 8, 16), 3, width=width), LIF(), timesteps=2)
    return lower(student, (1, 8, 16))


def test_a_nir_file_of_ours_is_deployable(project: Path, capsys: Output) -> None:
    nir.write(project / "good.nir", graph())
    assert neurokd(["check", "good.nir", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["weights_checked"] and result["timesteps"] == 2
    assert [layer["shape"] for layer in result["layers"]] == [[4, 8, 16], [8, 4, 8], [16, 2, 4], [3]]


def test_a_nir_file_of_others_lists_what_is_not_supported(project: Path, capsys: Output) -> None:
    three = np.ones(3, np.float32)
    nodes = {
        "in": nir.Input(np.array([4])),
        "fc": nir.Linear(np.ones((3, 4))),
        "cuba": nir.CubaLIF(three, three, three, 0 * three, three, 0 * three, three),
        "out": nir.Output(np.array([3])),
    }
    edges = [("in", "fc"), ("fc", "cuba"), ("cuba", "out"), ("cuba", "fc")]
    nir.write(project / "other.nir", nir.NIRGraph(nodes, edges, type_check=False))
    assert neurokd(["check", "other.nir", "--json"]) == 1
    found = {(f["layer"], f["rule"]) for f in json.loads(capsys.readouterr().out)["findings"]}
    assert {("fc", "recurrent"), ("cuba", "neuron"), ("", "metadata")} <= found


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def _text(path: Path) -> None:
    path.write_text("not HDF5")


def _no_graph(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = 1


def _bomb(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["node/nodes/conv1/weight"]
        file["node/nodes/conv1"].create_dataset("weight", shape=(1 << 20, 1 << 20), dtype="f4", chunks=(1024, 1024))


def _loop(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["node/nodes/again"] = file["node"]


def _link(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["node/nodes/conv1/weight"]
        file["node/nodes/conv1/weight"] = h5py.ExternalLink("elsewhere.h5", "/weight")


def _foreign_edge(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["node/edges"]
        file["node/edges"] = np.array([["x", "nowhere"]], dtype=h5py.string_dtype())


def _words_for_numbers(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["node/nodes/relu1/tau"]
        file["node/nodes/relu1/tau"] = "soon"


def _no_stride(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["node/nodes/conv1/stride"][...] = 0


@pytest.mark.parametrize(
    "damage",
    [_truncate, _text, _no_graph, _bomb, _loop, _link, _foreign_edge, _words_for_numbers, _no_stride],
    ids=lambda damage: damage.__name__.strip("_"),
)
def test_a_damaged_or_hostile_nir_file_is_one_line(project: Path, capsys: Output, damage) -> None:  # type: ignore[no-untyped-def]
    nir.write(project / "bad.nir", graph())
    damage(project / "bad.nir")
    assert "'bad.nir" in fails(capsys, ["check", "bad.nir"])


# the warning before training


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Training replaced by a note of the recipe that was to be trained."""
    from neurokd import training

    trained: list[str] = []

    def fit(recipe, path, **_):  # type: ignore[no-untyped-def]
        trained.append(recipe.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit", fit)
    return trained


def test_training_warns_of_what_cannot_be_exported(project: Path, capsys: Output, no_training: list[str]) -> None:
    soft = ["train", "small.yaml", "--set", "neuron={reset: soft}"]
    neurokd(soft)
    lines = capsys.readouterr().err.splitlines()
    warnings = [line for line in lines if line.startswith("this network trains, but cannot be exported: layer 'relu")]
    assert len(warnings) == 3 and "soft reset cannot run on loihi2" in warnings[0]
    neurokd([*soft, "--no-check"])
    neurokd(["train", "small.yaml"])
    assert "cannot be exported" not in capsys.readouterr().err
    assert no_training == ["small"] * 3


def test_a_check_that_fails_does_not_keep_anybody_from_training(
    project: Path, capsys: Output, no_training: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("neurokd.export.contract.check.check_recipe", fail)
    neurokd(["train", "small.yaml"])
    assert no_training == ["small"] and "the check failed (a bug)" in capsys.readouterr().err
