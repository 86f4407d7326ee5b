"""Every method through `fit`: trained, interrupted, resumed; where it starts, and with what it does not fit."""

import csv
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import neurokd.training
from neurokd.distill import METHODS
from neurokd.distiller import Distiller
from neurokd.errors import NeurokdError
from neurokd.recipe import Recipe, parse_recipe
from neurokd.runs import Run
from neurokd.spiking import SpikingNetwork
from neurokd.training import fit

pytestmark = pytest.mark.usefixtures("cache")

SHORT = {"epochs": 3, "batch_size": 16, "lr": 0.01}


def recipe(data: Path, method: str | dict[str, object], **changes: object) -> Recipe:
    """A small network on the small set."""
    values: dict[str, object] = {
        "name": "small",
        "data": {"name": "arrays", "path": str(data)},
        "model": {"name": "vgg-tiny", "width": 4},
        "timesteps": 2,
        "method": {"name": method} if isinstance(method, str) else method,
        "training": SHORT,
        "teacher": {"model": {"name": "vgg-tiny", "width": 4}, "training": SHORT},
    }
    return parse_recipe({**values, **changes})


def interrupt_second_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the student's second epoch, with two batches of it done."""
    original = Distiller.training_step

    def training_step(self, batch, index):  # type: ignore[no-untyped-def]
        if isinstance(self.student, SpikingNetwork) and self.current_epoch == 1 and index == 2:
            raise KeyboardInterrupt
        return original(self, batch, index)

    monkeypatch.setattr(Distiller, "training_step", training_step)


def columns(run: Run) -> dict[str, list[float]]:
    """`metrics.csv` by its headers."""
    with (run.path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_and_resumes_to_the_digit(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Adapters and random masks included; what is deployed holds the student alone."""
    method = recipe(data, name)
    whole = fit(method, tmp_path / "whole", progress=False)
    loss = columns(whole)["train_loss"]
    assert loss[-1] < loss[0]
    with monkeypatch.context() as patch, pytest.raises(NeurokdError, match="--resume"):
        interrupt_second_epoch(patch)
        fit(method, tmp_path / "cut", progress=False)
    cut = fit(method, tmp_path / "cut", progress=False)
    kept = [torch.load(run.checkpoints / "last.ckpt", weights_only=True) for run in (whole, cut)]
    states = [checkpoint["state_dict"] for checkpoint in kept]
    assert all(torch.equal(tensor, states[1][key]) for key, tensor in states[0].items())
    assert [state["epoch"] for state in kept] == [2, 2]  # the last epoch, be it the best or not
    adapters = [key for key in states[0] if key.startswith("adapters.")]
    assert bool(adapters) == (name in ("bkdsnn", "sakd"))  # kdsnn needs none for equal widths
    deployed = load_file(cut.weights)
    assert set(states[0]) - set(adapters) == {f"student.{key}" for key in deployed}
    assert all(torch.equal(tensor, deployed[key]) for key, tensor in load_file(whole.weights).items())


def stop_before_training(monkeypatch: pytest.MonkeyPatch) -> list[Distiller]:
    """Collect what would be trained instead of training it; teachers are trained."""
    collected: list[Distiller] = []

    def train(module: Distiller, *rest: object) -> int:
        if isinstance(module.student, SpikingNetwork):
            collected.append(module)
            raise NeurokdError("not trained")
        return original(module, *rest)  # type: ignore[arg-type]

    original = neurokd.training.train
    monkeypatch.setattr(neurokd.training, "train", train)
    return collected


@pytest.mark.parametrize("method", ["ce", "sakd"])
def test_a_start_from_the_teacher_has_its_weights(
    data: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    collected = stop_before_training(monkeypatch)
    with pytest.raises(NeurokdError, match="not trained"):
        fit(recipe(data, method, start="teacher"), tmp_path / "run", progress=False)
    weights = load_file(next((cache / "teachers").glob("*/checkpoints/best.safetensors")))
    student = collected[0].student.net.state_dict()
    assert set(weights) == set(student) and all(torch.equal(weights[name], student[name]) for name in weights)
    assert bool(collected[0].frozen) == (method == "sakd")  # ce takes the weights alone


def test_a_start_from_another_architecture_is_refused(data: Path, tmp_path: Path) -> None:
    wider = {"model": {"name": "vgg-tiny", "width": 6}, "training": {"epochs": 1, "batch_size": 16}}
    message = (
        r"start: \d+ tensors differ, first 'bn1\.bias' \(student \(4,\), teacher \(6,\)\); give both the same model"
    )
    with pytest.raises(NeurokdError, match=message):
        fit(recipe(data, "ce", start="teacher", teacher=wider), tmp_path / "run", progress=False)


def test_a_teacher_of_other_classes_or_an_unknown_tap_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_models.py").write_text(
        "from torch import nn\n"
        "def seven(input_shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 7))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    teacher = {"model": {"name": "own_models:seven"}, "training": SHORT}
    with pytest.raises(NeurokdError, match=r"model 'own_models:seven': returns \[2, 7\].*logits \[B, 2\]"):
        fit(recipe(data, "kd", teacher=teacher), tmp_path / "a", progress=False)
    with pytest.raises(NeurokdError, match=r"tap 'relu7': Sequential has no such module; nearest are 'relu"):
        fit(recipe(data, {"name": "sakd", "taps": ["relu7"]}), tmp_path / "b", progress=False)
