"""A whole search: complete, continued where it was stopped, blind to the test images."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from neurokd.data.images import DataSet, ImageSet
from neurokd.errors import NeurokdError
from neurokd.search.run import TRIALS, open_folder, run_search
from neurokd.search.sandwich import SandwichDistiller
from neurokd.search.spec import Search, load_search
from neurokd.search.trials import read_trials

TEACHER = {"model": {"name": "vgg-tiny", "width": 4}, "training": {"epochs": 2, "batch_size": 24}}


def results(folder: Path) -> dict[str, Any]:
    """Everything that a search leaves, but dates."""
    return {
        "trials": (folder / TRIALS).read_text(),
        "json": (folder / "search.json").read_text(),
        "markdown": (folder / "search.md").read_text(),
        "plot": (folder / "search.svg").read_text(),
        "weights": {k: v.tolist() for k, v in load_file(folder / "supernet" / "checkpoints/best.safetensors").items()},
    }


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_that_was_stopped_ends_like_one_that_was_not(
    write_search: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    if sampler == "tpe":
        pytest.importorskip("optuna")
    search = load_search(write_search(sampler=sampler, epochs=3))
    run_search(search, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch, pytest.raises(NeurokdError, match="is continued by the same command"):
        stop_in_epoch(patch, 1)
        run_search(search, tmp_path / "cut", progress=False)
    assert not (tmp_path / "cut" / TRIALS).exists()
    with monkeypatch.context() as patch, pytest.raises(NeurokdError, match="is continued by the same command"):
        stop_after_trials(patch, 4)
        run_search(search, tmp_path / "cut", progress=False)
    assert len(read_trials(tmp_path / "cut" / TRIALS)) == 4
    with (tmp_path / "cut" / TRIALS).open("a") as file:
        file.write('{"how": "rand')  # a kill in the middle of a line
    run_search(search, tmp_path / "cut", progress=False)
    assert results(tmp_path / "cut") == results(tmp_path / "whole")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calibration_images": 121}, "calibration_images is 121, but only 120 images train; lower it"),
        ({"base": {"training": {"batch_size": 500}}}, "batch size is 500, but there are only 120 training images"),
    ],
)
def test_too_few_images_are_noticed_before_the_supernet_is_trained(
    write_search: Callable[..., Path], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(NeurokdError, match=message):
        run_search(load_search(write_search(**changes)), tmp_path / "search", progress=False)
    assert not (tmp_path / "search").exists()


def test_a_damaged_folder_is_named(search: Search, tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text("space: [")
    with pytest.raises(NeurokdError, match=r"search\.yaml': damaged; name another --out or delete the folder"):
        open_folder(search, tmp_path)


def stop_in_epoch(patch: pytest.MonkeyPatch, epoch: int) -> None:
    """Interrupt the supernet's training as Ctrl-C does."""
    original = SandwichDistiller.training_step

    def training_step(self, batch, index):  # type: ignore[no-untyped-def]
        if self.current_epoch == epoch and index == 2:
            raise KeyboardInterrupt
        return original(self, batch, index)

    patch.setattr(SandwichDistiller, "training_step", training_step)


def stop_after_trials(patch: pytest.MonkeyPatch, trials: int) -> None:
    from neurokd.search.evaluate import Judge

    original, done = Judge.trial, []

    def trial(self, how, subnet):  # type: ignore[no-untyped-def]
        if len(done) == trials:
            raise KeyboardInterrupt
        done.append(subnet)
        return original(self, how, subnet)

    patch.setattr(Judge, "trial", trial)


def test_the_test_images_are_never_looked_at(search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import neurokd.search.run as module

    load = module.load_data

    class Forbidden(ImageSet):
        """Images that nobody may touch."""

        def __init__(self) -> None:
            pass

        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"the search asked the test set for '{name}'")

    def without_test(config, root):  # type: ignore[no-untyped-def]
        dataset = load(config, root)
        blind = object.__new__(DataSet)
        for name, value in {**vars(dataset), "test": Forbidden()}.items():
            object.__setattr__(blind, name, value)
        return blind

    monkeypatch.setattr(module, "load_data", without_test)
    summary = run_search(search, tmp_path / "out", progress=False)
    assert summary.images == 40  # a quarter of the 160 training images


def test_what_a_search_leaves(search: Search, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    summary = run_search(search, folder, progress=False)
    trials = read_trials(folder / TRIALS)
    assert [trial.how for trial in trials] == ["largest", "smallest", *["random"] * 6]
    assert [trials[0].subnet, trials[1].subnet] == [search.space.largest, search.space.smallest]
    assert summary.top[0].accuracy == max(trial.accuracy for trial in trials[2:])
    assert summary.worst.accuracy == min(trial.accuracy for trial in trials[2:])
    found = json.loads((folder / "search.json").read_text())
    assert found["space"]["subnets"] == 16
    assert found["top"][0]["accuracy"] == summary.top[0].accuracy
    assert len(found["calibration"]["accuracies"]) == 5
    wide = [trial.accuracy for trial in trials[2:] if trial.subnet.channels[0] == 6]
    assert found["by_choice"]["channels1"]["6"] == pytest.approx(sum(wide) / len(wide))
    text = (folder / "search.md").read_text()
    assert "No test image was used" in text
    assert all(word in text for word in ("| median |", "| largest |", "Rank correlation", "Best less worst"))
    assert "(search.svg)" in text


def test_more_samples_continue_and_another_search_does_not(
    write_search: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    run_search(load_search(write_search()), folder, progress=False)
    before = (folder / TRIALS).read_text()
    with monkeypatch.context() as patch:
        patch.setattr(SandwichDistiller, "training_step", None)  # the supernet is not trained again
        more = run_search(load_search(write_search(samples=9)), folder, progress=False)
    assert more.sampled == 9
    assert (folder / TRIALS).read_text().startswith(before)
    with pytest.raises(NeurokdError, match="was started with another search"):
        run_search(load_search(write_search(seed=1)), folder, progress=False)


def test_retraining_makes_ordinary_runs(write_search: Callable[..., Path], tmp_path: Path) -> None:
    search = load_search(write_search({"method": {"name": "tser"}, "teacher": TEACHER}, epochs=2))
    summary = run_search(search, tmp_path / "out", progress=False, retrain=1)
    assert {why for one in summary.retrained for why in one.why.split(", ")} == {
        "best 1", "largest", "smallest", "median",
    }  # fmt: skip
    for one in summary.retrained:
        run = tmp_path / "out" / "retrained" / one.subnet.name
        result = json.loads((run / "result.json").read_text())
        assert result["student"]["accuracy"] == one.test_accuracy
        assert result["method"] == "tser"
        assert f"channels:\n  - {one.subnet.channels[0]}" in (run / "recipe.yaml").read_text()
    assert "## Trained from scratch" in (tmp_path / "out" / "search.md").read_text()


def test_the_supernet_learns(write_search: Callable[..., Path], tmp_path: Path) -> None:
    """Every subnet, also those in between, is far better than chance after a short training."""
    training = {"epochs": 8, "batch_size": 12, "lr": 0.02}
    search = load_search(write_search({"training": training, "neuron": None, "timesteps": 1}))
    run_search(search, tmp_path / "out", progress=False)
    assert all(trial.accuracy > 0.85 for trial in read_trials(tmp_path / "out" / TRIALS))


@pytest.mark.parametrize(
    "base",
    [
        {"neuron": None, "method": {"name": "ce"}},
        {"method": {"name": "hsd"}, "teacher": TEACHER},
        {"method": {"name": "tser"}, "teacher": TEACHER, "neuron": {"decay": 1.0}},
    ],
    ids=["ann", "hsd", "tser"],
)
def test_recordings_are_searched_too(
    write_search: Callable[..., Path], write_recordings: Callable[..., Path], tmp_path: Path, base: dict[str, Any]
) -> None:
    folder = write_recordings(tmp_path / "halves")
    events = {"frames": 5, "pretrain": 3, "max_count": 63}
    data = {"name": "events", "path": str(folder), "validation": 0.25, "events": events}
    changes = {"data": data, "timesteps": 2, "training": {"epochs": 3, "batch_size": 20, "lr": 0.01}, **base}
    search = load_search(write_search(changes, samples=3, calibration_images=40))
    summary = run_search(search, tmp_path / "out", progress=False)
    assert summary.largest.accuracy > 0.7, "the halves are easy to tell apart"


def test_the_command(write_search: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from neurokd.cli.main import run

    file, out = str(write_search(epochs=2)), str(tmp_path / "out")
    assert run(["search", file, "--out", out, "--no-progress"]) == 0
    shown = capsys.readouterr().out
    assert "6 of 16 subnets" in shown
    assert "Rank correlation" in shown
    assert run(["search", file, "--out", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sampled"] == 6
    assert run(["search", str(tmp_path / "none.yaml")]) == 2
    assert re.search(r"search '.*none\.yaml': no such file", capsys.readouterr().err)


def test_a_damaged_file_is_named(search: Search, tmp_path: Path) -> None:
    file = tmp_path / TRIALS
    file.write_text('{"how": "random"}\n')
    with pytest.raises(NeurokdError, match=r"subnets\.jsonl' line 1: damaged"):
        read_trials(file)
