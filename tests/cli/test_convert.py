"""`neurokd convert`, and recipes whose teachers come with their weights: measured, never trained."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import helper, numpy_helper

from neurokd.cli.main import run as neurokd
from neurokd.errors import NeurokdError
from neurokd.export.contract.check import check_recipe
from neurokd.export.contract.target import find_target
from neurokd.recipe import parse_recipe
from neurokd.runs import Run
from neurokd.training import fit, load_data, load_model

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def project(write_data: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the small set, a recipe that names it and `net.onnx`, which tells its two classes apart."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "data")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(recipe()))
    write_network(tmp_path / "net.onnx")
    return tmp_path


def recipe(**changes: Any) -> dict[str, Any]:
    """A recipe of the small set whose teacher is `net.onnx`."""
    values: dict[str, Any] = {
        "name": "small",
        "data": {"name": "arrays", "path": str(Path("data").absolute())},
        "model": {"name": "vgg-tiny", "width": 2},
        "timesteps": 2,
        "method": {"name": "kd"},
        "training": {"epochs": 1, "batch_size": 32, "lr": 0.01},
        "teacher": {"model": {"name": "onnx:net.onnx"}, "training": {"epochs": 0}},
    }
    return {**values, **changes}


def write_network(path: Path, scale: float = 1.0) -> None:
    """A network by hand: a convolution that sums halves of the image, ReLU, and the two sums as logits."""
    kernel = torch.zeros(2, 1, 8, 8)
    kernel[0, :, :, :4] = kernel[1, :, :, 4:] = scale / 32
    tensors = {"kernel": kernel.numpy(), "matrix": torch.eye(2).numpy(), "bias": torch.zeros(2).numpy()}
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "matrix", "bias"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "halves", [helper.make_tensor_value_info("x", 1, ("b", 1, 8, 8))],
        [helper.make_tensor_value_info("y", 1, ("b", 2))],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


def test_a_network_is_measured_and_named_in_a_recipe(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert neurokd(["convert", "net.onnx", "--data", "data.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "onnxruntime: 40 images, the largest difference of a logit is" in printed
    assert "test accuracy: 100.00% of 40 images; runs/net-001" in printed
    section = yaml.safe_load(printed[printed.index("teacher:") :])
    assert section == {"teacher": recipe()["teacher"]}
    run = Run(Path("runs/net-001"))
    assert run.result()["student"]["accuracy"] == 1.0 and run.result()["student"]["best_epoch"] is None
    assert json.loads((run.path / "converted.json").read_text())["onnxruntime"]["differing"] == 0
    assert neurokd(["report", "net-001"]) == 0

    result = fit(parse_recipe(recipe()), project / "runs" / "student", progress=False).result()
    assert (result["teacher"]["accuracy"], result["teacher"]["reused"]) == (1.0, False)
    assert result["teacher"]["model"] == "onnx:net.onnx"
    again = fit(parse_recipe(recipe(seed=1)), project / "runs" / "again", progress=False).result()["teacher"]
    assert again["reused"] and again["key"] == result["teacher"]["key"]
    write_network(project / "net.onnx", scale=2.0)
    other = fit(parse_recipe(recipe(seed=1)), project / "runs" / "other", progress=False).result()["teacher"]
    assert not other["reused"] and other["key"] != again["key"]


def test_json_and_normalisation(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--mean", "0.5", "--std", "0.25", "--out", "there", "--samples", "5", "--json"]
    assert neurokd(["convert", "net.onnx", "--data", "data.yaml", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == "there" and found["onnxruntime"]["images"] == 5
    assert found["teacher"]["model"] == {"name": "onnx:net.onnx", "mean": [0.5], "std": [0.25]}
    run = Run(Path("there"))
    model = load_model(run, load_data(run.recipe))
    with torch.no_grad():
        assert model(torch.full((1, 1, 8, 8), 0.75)).tolist() == [[1.0, 1.0]]


def test_a_student_starts_from_the_network(project: Path) -> None:
    same = {"model": {"name": "onnx:net.onnx"}, "start": "teacher", "neuron": {"threshold": 0.2}}
    plain = parse_recipe(recipe(**same, training={"epochs": 0}))
    run = fit(plain, project / "plain", progress=False)
    teacher = load_model(run, load_data(plain))
    assert torch.equal(teacher.state_dict()["net.linear1.weight"], torch.eye(2))
    assert run.result()["student"]["accuracy_per_step_at_start"] == run.result()["student"]["accuracy_per_step"]
    assert check_recipe(plain, find_target("loihi2")).deployable


def test_qcfs_thresholds_are_trained_from_the_network(project: Path) -> None:
    teacher = {
        "model": {"name": "onnx:net.onnx"}, "qcfs": {"levels": 4, "threshold": 1.0},
        "training": {"epochs": 2, "batch_size": 32, "lr": 0.001, "weight_decay": 0.0},
    }  # fmt: skip
    values = recipe(model=teacher["model"], start="converted", teacher=teacher, timesteps=4)
    values["neuron"] = {"decay": 1.0, "reset": "soft", "initial": 0.5}
    result = fit(parse_recipe({**values, "training": {"epochs": 0}}), project / "run", progress=False).result()
    assert result["teacher"]["accuracy"] > 0.9 and result["student"]["accuracy"] > 0.9
    with pytest.raises(NeurokdError, match="epochs: 0 leaves the thresholds of qcfs untrained; train for an epoch"):
        parse_recipe({**values, "teacher": {**teacher, "training": {"epochs": 0}}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": {"model": {"name": "vgg11"}, "training": {"epochs": 0}}}, r"'vgg11': epochs is 0, and \d+ ten"),
        ({"training": {"epochs": 0}}, r"model 'vgg-tiny': epochs is 0, and \d+ tensors start at random, first 'conv1"),
        ({"teacher": {"model": {"name": "onnx:none.onnx"}}}, r"file 'none\.onnx': No such file or directory"),
        ({"teacher": {"model": {"name": "onnx:net.onnx", "width": 2}}}, r"'onnx:net\.onnx' has no option 'width'"),
    ],
)  # fmt: skip
def test_a_network_without_weights_is_told_before_anything_is_made(
    project: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(NeurokdError, match=message):
        fit(parse_recipe(recipe(**changes)), project / "run", progress=False)
    assert not (project / "run").exists()


def test_pretrained_weights_of_torchvision_are_a_teacher(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `pretrained: true` gives them for two classes; where the last layer is new, it is told."""
    from torchvision import models  # type: ignore[import-untyped]

    torch.manual_seed(0)
    weights = models.squeezenet1_1(num_classes=2).state_dict()
    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", lambda self, **options: weights)  # no download
    for part, count in (("train", 20), ("test", 4)):
        images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        np.savez(project / "data" / f"{part}.npz", images=images, labels=np.arange(count) % 2)
    pixels = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    model = {"name": "torchvision:squeezenet1_1", "pretrained": True, **pixels}
    section = {"model": model, "training": {"epochs": 0}}
    wanted = parse_recipe(recipe(teacher=section)).teacher_recipe()
    run = fit(wanted, project / "run", progress=False)
    kept = load_model(run, load_data(wanted)).state_dict()
    assert all(torch.equal(kept[f"model.{name}"], tensor) for name, tensor in weights.items())
    weights = models.squeezenet1_1(num_classes=1000).state_dict()
    with pytest.raises(NeurokdError, match=r"squeezenet1_1': epochs is 0, and 1 tensors start at random, first 'model"):
        fit(wanted, project / "other", progress=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.onnx", "--data", "data.yaml"], "file 'none.onnx': No such file or directory"),
        (["net.onnx", "--data", "nothing"], "--data 'nothing': is neither a recipe file nor a data set"),
        (["net.onnx", "--data", "nmnist"], "holds recordings of events; a network in an ONNX file is for images"),
        (["net.onnx", "--data", "digits"], "input 'x' is FLOAT any x 1 x 8 x 8; the data need FLOAT any x 1 x 16 x 16"),
        (["net.onnx", "--data", "data.yaml", "--mean", "a"], "--mean a: expected numbers separated by commas"),
        (["net.onnx", "--data", "data.yaml", "--mean", "1,2"], "model 'onnx:net.onnx': mean: got [1.0, 2.0], needed"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert neurokd(["convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (project / "runs").exists()
