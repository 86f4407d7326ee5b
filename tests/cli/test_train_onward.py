"""`neurokd train RUN --set KEY=VALUE`: a new run that starts from the weights of a finished one."""

import json
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
neuron: {reset: soft, initial: 0.25}
timesteps: 2
method: {name: ce}
training: {epochs: 2, batch_size: 16, lr: 0.01}
published: {accuracy: 99.0, source: a paper about soft resets}
"""
HARD = ["--hard-reset", "--no-progress"]


@pytest.fixture(scope="module")
def trained(train_small: Callable[[str], Path]) -> Path:
    return train_small(RECIPE)


def test_soft_to_hard_prints_both_and_can_be_exported(project: Path, capsys: Output) -> None:
    assert neurokd(["export", "--lava", "off"]) == 2
    assert "neurokd train RUN --hard-reset" in capsys.readouterr().err
    assert neurokd(["train", "runs/small-001", *HARD]) == 0
    printed = capsys.readouterr().out
    result = Run(Path("runs/small-002")).result()["student"]
    rows = {
        "its weights in runs/small-001, t = 2": result["weights_from"]["accuracy_per_step"],
        "student vgg-tiny, before its training, t = 2": result["accuracy_per_step_at_start"],
        "student vgg-tiny, t = 2": result["accuracy_per_step"],
    }
    for name, accuracy in rows.items():
        (line,) = (line for line in printed.splitlines() if name in line)
        assert f"{accuracy[-1]:.2%}" in line
    assert "a paper about soft resets" not in printed  # what it reports is of the recipe that was changed
    assert neurokd(["export", "--lava", "off"]) == 0


def test_it_goes_where_it_is_told_and_takes_qat_along(project: Path, capsys: Output) -> None:
    onward = ["runs/small-001", *HARD, "--set", "qat.bits=4", "--set", "qat.epochs=1", "--out", "there"]
    assert neurokd(["train", *onward, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == "there/qat"
    neuron = Run(Path("there")).recipe.neuron
    assert neuron is not None and (neuron.reset, neuron.initial) == ("hard", 0.0)
    assert neuron.threshold == pytest.approx(1.0 - 0.5 * 0.25)  # decay times start
    assert Run(Path("there")).recipe.weights_from == Path("runs/small-001")
    assert not Path("runs/small-002").exists()


def test_an_interrupted_one_is_resumed_by_its_own_words(project: Path, capsys: Output) -> None:
    assert neurokd(["train", "runs/small-001", *HARD]) == 0
    Path("runs/small-002/result.json").unlink()
    assert neurokd(["train", "runs/small-001", *HARD, "--resume"]) == 0
    assert Run(Path("runs/small-002")).finished and not Path("runs/small-003").exists()


def test_a_run_is_not_trained_again_for_nothing(project: Path, capsys: Output) -> None:
    assert neurokd(["train", "runs/small-001"]) == 2
    assert "is finished; take it on to integers with e.g. --set qat.bits=8, or change" in capsys.readouterr().err
    assert neurokd(["train", "small.yaml", "--hard-reset"]) == 2
    assert "is for the folder of a finished run" in capsys.readouterr().err
    assert neurokd(["train", "runs/small-001", "--hard-reset", "--set", "neuron={reset: hard}"]) == 2
    assert "its neurons are the chip's already" in capsys.readouterr().err
    assert neurokd(["train", "small.yaml", "--set", "weights_from=runs/small-009"]) == 2
    assert "runs/small-009" in capsys.readouterr().err
