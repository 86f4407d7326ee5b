"""HSD as one recipe: ANN over QCFS, conversion, fine-tuning; interrupted anywhere it ends as if it had not been."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from neurokd.data.dataset import load_dataset
from neurokd.distiller import Distiller
from neurokd.errors import NeurokdError
from neurokd.export.bundle import ExportOptions, export_run
from neurokd.export.network_files.network_file import read_network
from neurokd.export.nir_graphs.run_float import run_float
from neurokd.export.opened import open_run
from neurokd.export.proof.witness import Witness
from neurokd.inputs import to_input
from neurokd.recipe import Recipe, parse_recipe
from neurokd.runs import find_unfinished
from neurokd.spiking import LIFNeurons
from neurokd.training import fit, load_model

pytestmark = pytest.mark.usefixtures("cache")
EPOCHS = 4
SOFT = {"decay": 1.0, "reset": "soft", "initial": 0.5}


def recipe(data: Path, **changes: object) -> Recipe:
    """HSD on the small set, with the hard reset of the chip."""
    training = {"epochs": EPOCHS, "batch_size": 16, "lr": 0.01}
    values: dict[str, object] = {
        "name": "hsd",
        "data": {"name": "arrays", "path": str(data), "augment": {"shift": 1}},
        "model": {"name": "vgg-tiny", "width": 4},
        "timesteps": 4,
        "start": "converted",
        "method": {"name": "hsd"},
        "training": training,
        "teacher": {"model": {"name": "vgg-tiny", "width": 4}, "qcfs": {"levels": 4}, "training": training},
    }
    return parse_recipe({**values, **changes})


def interrupt(monkeypatch: pytest.MonkeyPatch, stage: str, epoch: int) -> None:
    """Stop as Ctrl-C does, in a batch of `epoch` of the teacher's training or of the fine-tuning."""
    original = Distiller.training_step

    def training_step(self: Distiller, batch: Any, index: int) -> torch.Tensor:
        if bool(self.frozen) == (stage == "fine-tuning") and self.current_epoch == epoch and index == 1:
            raise KeyboardInterrupt
        return original(self, batch, index)

    monkeypatch.setattr(Distiller, "training_step", training_step)


@pytest.mark.parametrize(("stage", "epoch"), [("teacher", 0), ("teacher", 2), ("fine-tuning", 0), ("fine-tuning", 2)])
def test_interrupted_in_any_stage_it_ends_the_same(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, epoch: int
) -> None:
    with monkeypatch.context() as patch, pytest.raises(NeurokdError, match="neurokd train --resume"):
        interrupt(patch, stage, epoch)
        fit(recipe(data), tmp_path / "cut", progress=False)
    run = find_unfinished(recipe(data), tmp_path)
    cut = fit(run.recipe, run.path, progress=False)
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "another"))  # so that the teacher is trained anew
    whole = fit(recipe(data), tmp_path / "whole", progress=False)
    assert not whole.result()["teacher"]["reused"]
    for name, tensor in load_file(whole.weights).items():
        assert torch.equal(tensor, load_file(cut.weights)[name]), name
    assert cut.result()["student"] == whole.result()["student"]


def test_the_conversion_is_measured_before_it_is_tuned(data: Path, tmp_path: Path) -> None:
    """With soft reset and T = L the converted network is about as good as its ANN, untrained as it is."""
    result = fit(recipe(data, neuron=SOFT), tmp_path / "soft", progress=False).result()
    at_start = result["student"]["accuracy_per_step_at_start"]
    assert len(at_start) == 4 and at_start[-1] >= result["teacher"]["accuracy"] - 0.05
    assert result["student"]["accuracy"] > 0.9
    random = fit(recipe(data, start="random"), tmp_path / "random", progress=False).result()
    assert random["student"]["accuracy_per_step_at_start"] is None


def test_thresholds_of_the_ann_become_those_of_the_neurons(data: Path, tmp_path: Path) -> None:
    run = fit(recipe(data, method={"name": "ce"}), tmp_path / "run", progress=False)
    student = load_model(run, load_dataset(run.recipe.data))
    thresholds = {name: value.item() for name, value in student.named_parameters() if name.endswith("threshold")}
    assert set(thresholds) == {f"net.relu{n}.threshold" for n in (1, 2, 3)}
    assert all(value != 8.0 for value in thresholds.values())  # where QCFS starts: they were trained


def test_batch_statistics_are_trained_after_the_conversion_was_measured(data: Path, tmp_path: Path) -> None:
    run = fit(recipe(data), tmp_path / "run", progress=False)
    batches = load_file(run.weights)["net.bn1.num_batches_tracked"]
    assert batches > EPOCHS * (108 // 16)  # more than the teacher has seen, whose count the student starts with


@pytest.mark.lava
def test_the_tuned_network_runs_on_lava(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fit(recipe(data), tmp_path / "run", progress=False)
    monkeypatch.delenv("NEUROKD_CACHE")  # where the Lava environment may be
    seen = export_run(run, ExportOptions(lava=Witness(mode="require", samples=8)))["verification"]["lava"]
    assert seen["status"] == "passed" and seen["compared"] > 0 and seen["mismatches"] == 0


def test_soft_reset_is_refused_at_export_by_name(data: Path, tmp_path: Path) -> None:
    run = fit(recipe(data, neuron=SOFT, training={"epochs": 1, "batch_size": 16}), tmp_path / "run", progress=False)
    with pytest.raises(NeurokdError, match=r"layer 'relu1.*soft reset cannot run on loihi2.*reset: hard"):
        export_run(run)


def test_at_one_step_soft_reset_is_exported_as_hard(data: Path, tmp_path: Path) -> None:
    """No reset matters behind the only step: the chip's own neuron gives the same spikes and the same accuracy."""
    training = {"epochs": EPOCHS, "batch_size": 16, "lr": 0.01}
    low = {"model": {"name": "vgg-tiny", "width": 4}, "qcfs": {"levels": 4, "threshold": 2.0}, "training": training}
    run = fit(recipe(data, neuron=SOFT, timesteps=1, teacher=low), tmp_path / "run", progress=False)
    manifest = export_run(run, ExportOptions(lava=Witness("off")))
    network = read_network(run.export / manifest["network"])
    assert all(one.reset == "hard" and not one.initial.any() for one in network.populations)
    _, student, folded = manifest["waterfall"][:3]
    assert (student["accuracy"], folded["agreement"]) == (run.result()["student"]["accuracy"], 1.0)
    opened = open_run(run)
    images = opened.dataset.test.images[:8]
    spikes = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: spikes.update({name: out}))
        for name, module in opened.student.net.named_modules()
        if isinstance(module, LIFNeurons)
    ]
    opened.student(to_input(images))
    traced = run_float(opened.graph, to_input(images).unsqueeze(0)).spikes
    assert len(hooks) == len(traced) == 3 and set(traced) == set(spikes)
    for name, seen in spikes.items():
        assert torch.equal(traced[name][0], seen.bool()) and 0.0 < seen.mean() < 1.0, name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": None}, "start: converted takes the weights of a teacher"),
        ({"teacher": {"model": {"name": "vgg-tiny", "width": 4}}}, "a 'qcfs' section"),
        ({"teacher": {"model": {"name": "vgg-tiny", "width": 5}, "qcfs": {}}}, "the student's model"),
        ({"qcfs": {}}, "of a teacher it is teacher.qcfs"),
    ],
)
def test_what_does_not_make_three_stages_is_refused(data: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        recipe(data, **({"method": {"name": "ce"}} | changes))


def test_what_does_not_fit_is_known_before_the_teacher_is_trained(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurokd.loop.train", lambda *_: pytest.fail("something was trained"))
    monkeypatch.setattr("neurokd.training.train", lambda *_: pytest.fail("something was trained"))
    method = {"name": "sakd", "taps": ["relu1", "relu9"]}
    with pytest.raises(NeurokdError, match=r"tap 'relu9'.*nearest are.*'relu"):
        fit(recipe(data, method=method, start="random"), tmp_path / "run", progress=False)
