"""Training: resumable to the digit, honest about damage, teachers reused by content."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from neurokd.data.splits import fingerprint
from neurokd.distiller import Distiller
from neurokd.errors import NeurokdError
from neurokd.recipe import Recipe, parse_recipe
from neurokd.runs import Run, create_run, exclusive, find_run, find_unfinished, next_path
from neurokd.training import fit

EPOCHS = 8
pytestmark = pytest.mark.usefixtures("cache")


def recipe(data: Path, **changes: object) -> Recipe:
    """TSER on the small set."""
    training = {"epochs": EPOCHS, "batch_size": 16, "lr": 0.01}
    values: dict[str, object] = {
        "name": "small",
        "data": {"name": "arrays", "path": str(data), "augment": {"shift": 1}},
        "model": {"name": "vgg-tiny", "width": 4},
        "timesteps": 2,
        "method": {"name": "tser"},
        "training": training,
        "teacher": {"model": {"name": "vgg-tiny", "width": 4}, "training": training},
    }
    return parse_recipe({**values, **changes})


def stop_after(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Interrupt the student's training as Ctrl-C does, in the epoch after `epochs` complete ones."""
    original = Distiller.training_step

    def training_step(self, batch, index):  # type: ignore[no-untyped-def]
        if self.frozen and self.current_epoch == epochs and index == 2:
            raise KeyboardInterrupt
        return original(self, batch, index)

    monkeypatch.setattr(Distiller, "training_step", training_step)


def test_a_run_is_complete(data: Path, tmp_path: Path) -> None:
    run = fit(recipe(data), tmp_path / "run", progress=False)
    result = run.result()
    assert result["student"]["accuracy"] > 0.9 and result["teacher"]["accuracy"] > 0.9
    assert len(result["student"]["accuracy_per_step"]) == 2
    assert set(result["student"]["firing_rate"]) == {"net.relu1", "net.relu2", "net.relu3"}
    assert 0 <= result["student"]["best_epoch"] < EPOCHS
    splits = np.load(run.path / "splits.npz")
    assert len(splits["train"]) == 108 and len(splits["validation"]) == 12
    assert not set(splits["train"]) & set(splits["validation"])
    assert result["data"]["split"] == {part: fingerprint(splits[part]) for part in ("train", "validation")}
    for name in ("recipe.yaml", "environment.json", "metrics.csv", "checkpoints/best.safetensors", "tensorboard"):
        assert (run.path / name).exists(), name
    assert find_run(None, tmp_path).path == run.path
    # killed between the last epoch and the result: only the measuring is done again
    (run.path / "result.json").unlink()
    again = fit(recipe(data), run.path, progress=False).result()
    assert again["student"] == result["student"] and again["teacher"]["reused"]


def test_two_processes_do_not_train_one_run(data: Path, tmp_path: Path) -> None:
    run = create_run(recipe(data), tmp_path / "run")
    with exclusive(run), pytest.raises(NeurokdError, match="another process is training it"):
        fit(recipe(data), run.path, progress=False)


def test_resumed_equals_uninterrupted(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(recipe(data), tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch, pytest.raises(NeurokdError, match="neurokd train --resume"):
        stop_after(patch, 1)
        fit(recipe(data), tmp_path / "cut", progress=False)
    cut = find_unfinished(recipe(data), tmp_path)
    assert cut.path == tmp_path / "cut"
    fit(recipe(data), cut.path, progress=False)
    for name, tensor in load_file(whole.weights).items():
        assert torch.equal(tensor, load_file(cut.weights)[name]), name
    assert cut.result()["student"] == whole.result()["student"]
    assert (cut.path / "metrics.csv").read_text() == (whole.path / "metrics.csv").read_text()


def test_the_teacher_is_trained_once_and_reused_by_content(data: Path, tmp_path: Path) -> None:
    first = fit(recipe(data), tmp_path / "a", progress=False).result()["teacher"]
    again = fit(recipe(data, timesteps=1), tmp_path / "b", progress=False).result()["teacher"]
    seeded = fit(recipe(data, seed=1), tmp_path / "c", progress=False).result()["teacher"]
    assert (first["reused"], again["reused"], seeded["reused"]) == (False, True, True)
    teacher = {"model": {"name": "vgg-tiny", "width": 4}, "seed": 1, "training": {"epochs": 1, "batch_size": 16}}
    other = fit(recipe(data, teacher=teacher), tmp_path / "d", progress=False).result()["teacher"]
    assert not other["reused"]
    assert first["key"] == again["key"] != other["key"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("result.json", "{", "damaged JSON"),
        ("result.json", '{"student": {}}', "result.json is damaged \\('model'\\)"),
        ("recipe.yaml", "name: [", "not valid YAML"),
        ("recipe.yaml", recipe(Path("x")).teacher_recipe().to_yaml(), "not the one that it is kept under"),
        ("checkpoints/best.safetensors", "short", "damaged file"),
    ],
)
def test_a_damaged_teacher_in_the_cache_says_what_to_delete(
    data: Path, cache: Path, tmp_path: Path, file: str, content: str, message: str
) -> None:
    training = {"epochs": 1, "batch_size": 16}
    brief = recipe(data, training=training, teacher={"model": {"name": "vgg-tiny", "width": 4}, "training": training})
    fit(brief, tmp_path / "a", progress=False)
    (folder,) = (path for path in (cache / "teachers").iterdir() if path.is_dir())
    (folder / file).write_text(content)
    with pytest.raises(NeurokdError, match=f"{message}.*; delete '{folder}' and"):
        fit(brief, tmp_path / "b", progress=False)
    shutil.rmtree(folder)
    assert not fit(brief, tmp_path / "b", progress=False).result()["teacher"]["reused"]


def test_killed_midway_it_resumes(data: Path, tmp_path: Path) -> None:
    """SIGKILL as soon as there is a checkpoint, in a process of its own; then the run is finished here."""
    path = tmp_path / "killed"
    wanted = recipe(data, training={"epochs": 60, "batch_size": 16}, method={"name": "ce"}, teacher=None)
    (tmp_path / "small.yaml").write_text(wanted.to_yaml())
    command = [sys.executable, "-m", "neurokd", "train", str(tmp_path / "small.yaml"), "--out", str(path)]
    process = subprocess.Popen([*command, "--no-progress"], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (path / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = find_unfinished(wanted, tmp_path)
    reached = int(torch.load(run.checkpoints / "last.ckpt", weights_only=True)["epoch"])
    assert 0 <= reached < 59
    result = fit(run.recipe, run.path, progress=False).result()
    assert result["student"]["accuracy"] > 0.9
    epochs = [row.partition(",")[0] for row in (path / "metrics.csv").read_text().splitlines()[1:]]
    assert epochs[0] == "0" and epochs[-1] == "59"


def test_a_loss_that_is_not_finite_stops_with_its_terms(data: Path, tmp_path: Path) -> None:
    diverging = recipe(data, training={"epochs": 5, "batch_size": 16, "lr": 1e30, "optimizer": "sgd"})
    where = r"the loss is (nan|inf|-inf) at epoch \d+, batch \d+, step \d+, because of '\w+' \(.* x ce .*, .* x kl .*\)"
    with pytest.raises(NeurokdError, match=where + "; lower training.lr"):
        fit(diverging, tmp_path / "run", progress=False)
    assert not Run(tmp_path / "run").finished


def test_a_negative_loss_stops_before_it_is_learnt_from(data: Path, tmp_path: Path) -> None:
    greedy = recipe(data, method={"name": "tser", "entropy_weight": 50.0})
    with pytest.raises(NeurokdError, match=r"the loss is -\d.* at epoch 0, batch 0, step 0, because of 'entropy'"):
        fit(greedy, tmp_path / "run", progress=False)
    assert not list((tmp_path / "run" / "checkpoints").glob("*"))


def test_the_epoch_before_a_spoilt_one_is_kept(data: Path, tmp_path: Path) -> None:
    """Continued, the run fails at the same place; another recipe needs another folder."""
    method = {"name": "sakd", "feature_weight": 1.0, "feature_weight_from": {2: 1e300}}
    for _ in range(2):
        with pytest.raises(NeurokdError, match=r"inf at epoch 2, batch 0, step 12, because of 'feature' .* is kept$"):
            fit(recipe(data, method=method), tmp_path / "run", progress=False)
    run = find_unfinished(recipe(data, method=method), tmp_path)
    kept = torch.load(run.checkpoints / "last.ckpt", weights_only=True)
    assert kept["epoch"] == 1 and all(torch.isfinite(tensor).all() for tensor in kept["state_dict"].values())
    with pytest.raises(NeurokdError, match="another recipe"):
        fit(recipe(data, method={"name": "sakd"}), run.path, progress=False)


def test_the_wrong_checkpoint_is_refused(data: Path, tmp_path: Path) -> None:
    from neurokd.data.dataset import load_dataset
    from neurokd.training import load_model

    simple = recipe(data, method={"name": "ce"}, teacher=None, training={"epochs": 1, "batch_size": 16})
    run = fit(simple, tmp_path / "run", progress=False)
    dataset = load_dataset(simple.data)
    wider = simple.model_copy(update={"model": simple.model.model_copy(update={"width": 6})})
    (run.path / "recipe.yaml").write_text(wider.to_yaml().replace("width: 4", "width: 6"))
    with pytest.raises(NeurokdError, match="made for another model"):
        load_model(Run(run.path), dataset)
    run.weights.write_bytes(run.weights.read_bytes()[:100])
    with pytest.raises(NeurokdError, match="damaged file"):
        load_model(Run(run.path), dataset)


def test_a_damaged_last_checkpoint_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(NeurokdError):
        stop_after(patch, 1)
        fit(recipe(data), tmp_path / "cut", progress=False)
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:200])
    with pytest.raises(NeurokdError, match=r"last\.ckpt': damaged"):
        fit(recipe(data), tmp_path / "cut", progress=False)


def test_another_recipe_does_not_take_over_a_run(data: Path, tmp_path: Path) -> None:
    create_run(recipe(data), tmp_path / "run")
    with pytest.raises(NeurokdError, match="another recipe"):
        create_run(recipe(data, seed=5), tmp_path / "run")


def test_runs_are_numbered_and_found(data: Path, tmp_path: Path) -> None:
    assert next_path("x", tmp_path).name == "x-001"
    create_run(recipe(data), tmp_path / "x-007")
    assert next_path("x", tmp_path).name == "x-008"
    with pytest.raises(NeurokdError, match="no finished run"):
        find_run(None, tmp_path)
    with pytest.raises(NeurokdError, match="run 'y'"):
        find_run("y", tmp_path)
    with pytest.raises(NeurokdError, match="nothing to resume"):
        find_unfinished(recipe(data, seed=9), tmp_path)
    with pytest.raises(NeurokdError, match="has not finished"):
        Run(tmp_path / "x-007").result()


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_damaged_result_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(NeurokdError, match=r"result\.json"):
        Run(tmp_path).result()


def test_environment_records_versions(data: Path, tmp_path: Path) -> None:
    create_run(recipe(data), tmp_path / "run")
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert (
        environment["versions"]["torch"] == torch.__version__.partition("+")[0]
        and environment["cpu_count"] == os.cpu_count()
    )
