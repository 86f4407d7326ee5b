"""Training on recordings: which network sees which frames, and that the artefact computes what was trained."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neurokd.data.dataset import load_dataset
from neurokd.distill import CE, HSD, SAKD, TET
from neurokd.distiller import Distiller
from neurokd.errors import NeurokdError
from neurokd.evaluation import evaluate, logits_per_step
from neurokd.export.bundle import ExportOptions, export_run
from neurokd.export.contract.check import check_recipe
from neurokd.export.contract.target import find_target
from neurokd.export.network_files.network_file import read_network
from neurokd.export.proof.witness import Witness
from neurokd.hardware.simulator import simulate
from neurokd.inputs import to_input
from neurokd.neurons import LIF
from neurokd.recipe import Recipe, TrainingConfig, parse_recipe
from neurokd.runs import Run
from neurokd.spiking import to_spiking
from neurokd.training import fit, load_data, load_model, samples

EPOCHS = {"epochs": 3, "batch_size": 16}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, write_recordings: Callable[..., Path]) -> Path:
    """Two classes: most events in the left or in the right half."""
    return write_recordings(tmp_path_factory.mktemp("halves"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Teachers and frames of these tests are shared by them alone."""
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path_factory.getbasetemp() / "events-cache"))


def recipe(folder: Path, **changes: Any) -> Recipe:
    """HSD at the smallest scale: 4 + 3 frames."""
    model = {"name": "vgg-tiny", "width": 4}
    values: dict[str, Any] = {
        "name": "halves",
        "data": {"name": "events", "path": str(folder), "events": {"frames": 7, "pretrain": 4, "max_count": 31}},
        "model": model,
        "start": "converted",
        "method": {"name": "hsd"},
        "training": EPOCHS,
        "teacher": {"model": model, "qcfs": {"levels": 4, "threshold": 2.0}, "training": EPOCHS},
    }
    return parse_recipe({**values, **changes})


def test_steps_are_frames(data: Path) -> None:
    whole = recipe(data)
    assert (whole.timesteps, whole.first_frame, whole.teacher_frames) == (3, 4, 4)
    teacher = whole.teacher_recipe()
    assert (teacher.timesteps, teacher.first_frame, teacher.method.name) == (4, 0, "tet")
    assert recipe(data, timesteps=2).timesteps == 2
    assert recipe(data, timesteps=2).teacher_recipe() == teacher  # one teacher for all T
    fewer = {**whole.data.model_dump(), "events": {"frames": 7, "pretrain": 4, "max_count": 31, "inference": 2}}
    assert recipe(data, data=fewer).teacher_recipe() == teacher
    assert recipe(data, method={"name": "ce"}).teacher_frames == 0
    smooth = recipe(data, teacher={**whole.model_dump()["teacher"], "label_smoothing": 0.1}).teacher_recipe()
    assert smooth.method == TET(label_smoothing=0.1)
    events = {"frames": 5, "pretrain": 0}
    same = recipe(data, data={"name": "events", "path": str(data), "events": events})
    assert (same.timesteps, same.first_frame, same.teacher_frames, same.teacher_recipe().timesteps) == (5, 0, 0, 5)
    with pytest.raises(NeurokdError, match=r"timesteps: 4 for 3 frames; raise data\.events\.frames"):
        recipe(data, timesteps=4)
    shown = {"frames": 7, "pretrain": 4, "teacher_frames": "inference"}
    assert recipe(data, data={"name": "events", "path": str(data), "events": shown}).teacher_frames == 0


def test_each_network_has_its_frames(data: Path) -> None:
    wanted = recipe(data)
    everything = load_dataset(wanted.data)
    frames = everything.train.images[:]
    student, teacher = load_data(wanted), load_data(wanted.teacher_recipe())
    assert torch.equal(student.train.images[:], frames[:, 4:]) and torch.equal(teacher.train.images[:], frames[:, :4])
    assert torch.equal(load_data(recipe(data, timesteps=2)).train.images[:], frames[:, 4:6])
    assert student.lessons is not None and torch.equal(student.lessons.images[:], frames)
    ours, theirs = samples(wanted, student)
    assert theirs is not None
    assert torch.equal(ours, frames[:2, 4:].transpose(0, 1).float())
    assert torch.equal(theirs, frames[:2, :4].transpose(0, 1).float())
    assert student.train.fingerprint() == teacher.train.fingerprint()


def ann() -> nn.Sequential:
    """Two classes from 8 x 8 counts."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))


def test_an_ann_sees_frames_as_images_of_their_own() -> None:
    counts = torch.randint(0, 9, (5, 3, 2, 8, 8), dtype=torch.uint8)
    model = ann()
    logits = logits_per_step(model, to_input(counts))
    assert logits.shape == (3, 5, 2)
    for step in range(3):
        assert torch.allclose(logits[step], model(counts[:, step].float()), atol=1e-5)
    labels = torch.tensor([0, 1, 0, 1, 1])
    loss = TET()(type("Seen", (), {"logits": logits, "labels": labels})())  # type: ignore[arg-type]
    frame_by_frame = [F.cross_entropy(model(counts[:, step].float()), labels) for step in range(3)]
    assert loss.terms["ce"].item() == pytest.approx(sum(one.item() for one in frame_by_frame) / 3, rel=1e-5)


@pytest.mark.parametrize("own", [0, 2])
def test_a_teacher_is_shown_its_own_frames(own: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of a batch of 2 + 3 frames, or of 3, against the formula on the frames of each."""
    counts = torch.randint(0, 9, (4, own + 3, 2, 8, 8), dtype=torch.uint8)
    teacher, student, labels = ann(), to_spiking(ann(), LIF(), 3), torch.tensor([0, 1, 1, 0])
    frames = to_input(counts)
    module = Distiller(
        student, HSD(), TrainingConfig(), teacher=teacher, sample=frames[own:], shown=frames[:own] if own else None
    )
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    monkeypatch.setattr(module, "log_dict", lambda *_, **__: None)
    loss = module.training_step((counts, labels), 0)
    shown = counts[:, :own] if own else counts
    with torch.no_grad():
        answers = torch.stack([teacher(shown[:, step].float()) for step in range(shown.shape[1])]).mean(dim=0)
        z = student(counts[:, own:].transpose(0, 1).float())
        q = F.softmax(answers / 2, dim=-1)
        kl = 4 * torch.stack([(q * (q.log() - F.log_softmax(step / 2, dim=-1))).sum(-1).mean() for step in z]).mean()
        assert loss.item() == pytest.approx((F.cross_entropy(z.mean(dim=0), labels) + kl).item(), rel=1e-4)


def test_features_of_a_teacher_are_means_over_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = torch.randint(0, 9, (4, 5, 2, 8, 8), dtype=torch.uint8)
    frames, teacher = to_input(counts), ann()
    objective = SAKD(transform="none", taps=("1",))
    module = Distiller(
        to_spiking(ann(), LIF(), 3), objective, TrainingConfig(), teacher=teacher, sample=frames[2:], shown=frames[:2]
    )
    assert module.pairing is not None
    with torch.no_grad():
        logits_per_step(teacher, frames[:2])
        logits_per_step(module.student, frames[2:])
        (pair,) = module.pairing.features()
        expected = torch.stack([teacher[:2](counts[:, step].float()) for step in range(2)]).mean(dim=0)
    assert pair.student.shape[:2] == (3, 4)
    assert torch.allclose(pair.teacher, expected, atol=1e-5)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All three stages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROKD_CACHE", str(tmp_path_factory.getbasetemp() / "events-cache"))
        longer = {"epochs": 8, "batch_size": 8}
        values = recipe(data).model_dump()["teacher"] | {"training": longer}
        return fit(
            recipe(data, training=longer, teacher=values), tmp_path_factory.mktemp("run") / "hsd", progress=False
        )


def test_three_stages_learn(trained: Run) -> None:
    result = trained.result()
    assert len(result["student"]["accuracy_per_step"]) == 3
    assert result["student"]["accuracy"] > 0.9 and result["teacher"]["accuracy"] > 0.9
    assert len(result["student"]["accuracy_per_step_at_start"]) == 3
    assert result["teacher"]["macs"] == 4 * result["student"]["macs"]  # it looks at four frames, one after the other


def test_the_artefact_computes_what_was_trained(trained: Run) -> None:
    manifest = export_run(trained, ExportOptions(lava=Witness(mode="off")))
    assert manifest["input"] == {"shape": [2, 8, 8], "kind": "graded", "constant": 0, "maximum": 31, "shift": 0}
    network = read_network(trained.export / "network.net")
    dataset = load_data(trained.recipe)
    frames = network.input.encode(dataset.test.images[:].numpy())
    assert frames.shape == (3, 40, 2, 8, 8)
    trace = simulate(network, frames)
    assert trace.readout is not None
    with torch.no_grad():
        wanted = load_model(trained, dataset)(to_input(dataset.test.images[:])).sum(dim=0).numpy()
    assert np.median(np.abs(trace.readout[-1] * network.logit_scale - wanted)) < 0.02 * np.abs(wanted).max()
    assert (trace.predictions()[-1] == wanted.argmax(axis=1)).mean() > 0.9
    assert manifest["accuracy_per_step"] == trace.accuracy(dataset.test.labels.numpy())
    with pytest.raises(NeurokdError, match="inputs: the largest is 32, allowed is 31"):
        network.input.encode(np.full((1, 3, 2, 8, 8), 32, np.uint8))


@pytest.mark.lava
@pytest.mark.parametrize("counting", ["count", "binary"])
def test_lava_computes_the_same_on_recordings(
    data: Path, tmp_path: Path, counting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {"frames": 7, "pretrain": 4, "counting": counting, "max_count": 31}
    run = fit(
        recipe(data, data={"name": "events", "path": str(data), "events": changed}), tmp_path / "run", progress=False
    )
    monkeypatch.undo()  # Lava is installed in the user's cache
    manifest = export_run(run, ExportOptions(lava=Witness(mode="require", samples=6)))
    assert manifest["input"]["kind"] == ("graded" if counting == "count" else "spikes")
    lava = manifest["verification"]["lava"]
    assert (lava["status"], lava["mismatches"]) == ("passed", 0)
    assert lava["compared"] > 1000


def test_a_temporal_crop_trains_on_random_windows_and_tests_on_the_middle(data: Path, tmp_path: Path) -> None:
    varied = {
        "name": "events", "path": str(data), "events": {"frames": 7, "pretrain": 4},
        "augment": {"temporal_crop": 2, "mix": 0.5, "nda": True},
    }  # fmt: skip
    wanted = recipe(data, data=varied)
    dataset = load_data(wanted)
    assert dataset.lessons is not None and dataset.lessons.frames == 9
    assert torch.equal(dataset.train.images[:], load_dataset(wanted.data).train.images[:][:, 5:8])
    assert fit(wanted, tmp_path / "run", progress=False).finished


def test_direct_training_needs_no_teacher(data: Path, tmp_path: Path) -> None:
    run = fit(recipe(data, start="random", method={"name": "ce"}, teacher=None), tmp_path / "run", progress=False)
    dataset = load_data(run.recipe)
    assert run.result()["teacher"] is None
    found = evaluate(load_model(run, dataset), dataset.test).accuracy_per_step
    assert found == run.result()["student"]["accuracy_per_step"]


def test_the_check_knows_the_shape_of_the_frames() -> None:
    values = {
        "name": "x", "model": {"name": "vgg-tiny", "width": 4}, "method": CE().model_dump(),
        "data": {"name": "digits-dvs", "events": {"frames": 3, "counting": "sum", "size": 16}},
    }  # fmt: skip
    verdict = check_recipe(parse_recipe(values), find_target("loihi2"))
    assert verdict.deployable
    assert verdict.layers[0].neurons == 4 * 16 * 16
    odd = {**values, "data": {"name": "digits-dvs", "events": {"frames": 3, "size": 17}}}
    assert json.dumps(check_recipe(parse_recipe(odd), find_target("loihi2")).to_json())
