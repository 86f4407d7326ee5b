"""`neurokd train` with a qat section, and on the folder of a finished run."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from neurokd.cli.main import run as neurokd
from neurokd.runs import Run

Output = pytest.CaptureFixture[str]
RECIPE = """
name: small
data: {name: arrays, path: DATA}
model: {name: vgg-tiny, width: 4}
timesteps: 2
method: {name: ce}
training: {epochs: 4, batch_size: 16, lr: 0.01}
"""
QUICK = ["--set", "qat.epochs=1", "--set", "qat.bits=4", "--no-progress"]


@pytest.fixture(scope="module")
def trained(train_small: Callable[[str], Path]) -> Path:
    return train_small(RECIPE)


def test_a_recipe_with_qat_trains_exports_and_simulates(project: Path, capsys: Output) -> None:
    assert neurokd(["train", "small.yaml", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "4-bit weights" in out and "trained in integers" in out
    assert "export these integers with: neurokd export runs/small-002" in out
    assert neurokd(["export", "--lava", "off", "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    result = Run(Path("runs/small-002/qat")).result()
    assert manifest["accuracy_per_step"] == result["after"]["accuracy_per_step"]
    assert manifest["calibration"]["weight_bits"] == 4 and manifest["calibration"]["rounding"] == "trained"
    assert neurokd(["export", "--lava", "off", "--weight-bits", "8"]) == 2
    assert "was trained in integers, which fixed its bits and scales" in capsys.readouterr().err


def test_a_finished_run_goes_on_and_is_not_trained_twice(project: Path, capsys: Output) -> None:
    assert neurokd(["train", "runs/small-001", *QUICK, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["run"] == "runs/small-001/qat" and first["bits"] == 4
    assert Run(Path("runs/small-001")).wanted.qat is not None
    assert neurokd(["train", "runs/small-001", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first


@pytest.mark.parametrize("command", ["simulate", "report"])
def test_an_artefact_of_the_float_student_is_not_taken_for_the_trained_integers(
    project: Path, capsys: Output, command: str
) -> None:
    assert neurokd(["export", "runs/small-001", "--lava", "off"]) == 0
    assert neurokd([command, "runs/small-001"]) == 0
    assert neurokd(["train", "runs/small-001", *QUICK]) == 0
    manifest = Path("runs/small-001/export/manifest.json")
    manifest.write_text(re.sub(r'"created": "[^"]*"', '"created": "2026-01-01T00:00:00+00:00"', manifest.read_text()))
    assert neurokd([command, "runs/small-001"]) == 2
    assert "its artefact is older than its training in integers; write it again" in capsys.readouterr().err
    assert neurokd(["export", "runs/small-001", "--lava", "off"]) == 0
    assert neurokd([command, "runs/small-001"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/small-001"], "run 'runs/small-001': is finished; take it on to integers with e.g. --set qat.bits=8"),
        (["runs/small-001", "--set", "qat.bits=9"], "qat.bits: Input should be less than or equal to 8, got 9"),
        (["runs/small-001", "--set", "qat.bit=4"], "unknown key 'qat.bit', did you mean 'bits'?"),
        (["runs/small-001", "--set", "qat.precision=bf16-mixed"], "qat.precision"),
        (["runs/small-001", *QUICK, "--out", "other"], "goes on in its own folder; leave --resume and --out away"),
        (["runs"], "no recipe.yaml; this is not a run folder"),
        (["small.yaml", "--set", "neuron=null", "--set", "timesteps=1", "--set", "qat.bits=4"], "leave qat out"),
    ],
)
def test_what_cannot_be_trained_in_integers(project: Path, capsys: Output, arguments: list[str], message: str) -> None:
    assert neurokd(["train", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_sweeps_and_searches_leave_integers_to_train(project: Path, capsys: Output) -> None:
    (project / "sweep.yaml").write_text("recipe: small.yaml\nseeds: [0]\ngrid: {qat.bits: [4, 8]}\n")
    assert neurokd(["sweep", "sweep.yaml"]) == 2
    assert "a sweep trains float students; leave qat out" in capsys.readouterr().err
