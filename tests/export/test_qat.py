"""Training in integers: what validates an epoch is the artefact, on the simulator and on Lava."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from neurokd.distiller import Distiller
from neurokd.errors import NeurokdError
from neurokd.evaluation import evaluate
from neurokd.export.artefact import ExportOptions
from neurokd.export.bundle import export_run
from neurokd.export.network_files.network_file import read_network
from neurokd.export.opened import open_run
from neurokd.export.proof.witness import Witness
from neurokd.export.qat.train import load_integers, train_in_integers
from neurokd.hardware.simulator import simulate
from neurokd.recipe import Recipe, parse_recipe
from neurokd.runs import Run, find_unfinished
from neurokd.training import fit, load_data

OFF = ExportOptions(lava=Witness("off"))


def recipe(data: Path, **qat: object) -> Recipe:
    """A small student, taught in integers of 3 bits."""
    return parse_recipe({
        "name": "small",
        "data": {"name": "arrays", "path": str(data), "augment": {"shift": 1}},
        "model": {"name": "vgg-tiny", "width": 4},
        "timesteps": 2,
        "method": {"name": "ce"},
        "training": {"epochs": 8, "batch_size": 16, "lr": 0.01},
        "qat": {"bits": 3, "epochs": 3, "batch_size": 16, "lr": 0.003, **qat},
    })  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, write_data: Callable[..., Path]) -> tuple[Run, Recipe]:
    """A finished float run, and the recipe that takes it on."""
    folder = tmp_path_factory.mktemp("qat")
    wanted = recipe(write_data(folder / "data"))
    return fit(wanted, folder / "run", progress=False), wanted


@pytest.fixture
def copied(trained: tuple[Run, Recipe], tmp_path: Path) -> tuple[Run, Recipe]:
    run, wanted = trained
    shutil.copytree(run.path, tmp_path / "run")
    return Run(tmp_path / "run"), wanted


def test_the_accuracy_of_training_is_that_of_the_artefact(copied: tuple[Run, Recipe]) -> None:
    run, wanted = copied
    result = train_in_integers(run, wanted, progress=False).result()
    assert result["bits"] == 3
    manifest = export_run(run, OFF)
    network = read_network(run.export / "network.net")
    validation = load_data(wanted).train.subset(torch.as_tensor(run.load_split().validation))
    trace = simulate(network, network.input.encode(validation.images[:].numpy()))
    assert trace.accuracy(validation.labels.numpy())[-1] == result["after"]["validation_accuracy"]
    assert manifest["accuracy_per_step"] == result["after"]["accuracy_per_step"]
    assert manifest["calibration"]["method"] == "trained in integers"
    steps = {row["name"]: row["weight_max"] for row in manifest["layers"]}
    assert all(largest <= 192 for largest in steps.values()), steps


def test_the_last_epoch_was_validated_by_the_simulator(copied: tuple[Run, Recipe]) -> None:
    """The log's accuracy of the best epoch is the one that the exported network has, unless the start was kept."""
    run, wanted = copied
    target = train_in_integers(run, wanted, progress=False)
    result = target.result()
    rows = [line.split(",") for line in (target.path / "metrics.csv").read_text().splitlines()]
    column = rows[0].index("val_accuracy")
    logged = [float(row[column]) for row in rows[1:] if row[column]]
    assert len(logged) == 3
    if result["best_epoch"] is not None:
        assert result["after"]["validation_accuracy"] == pytest.approx(logged[result["best_epoch"]], abs=1e-7)
    else:
        assert max(logged) <= result["before"]["validation_accuracy"]


@pytest.mark.lava
def test_lava_computes_what_was_validated(copied: tuple[Run, Recipe]) -> None:
    run, wanted = copied
    train_in_integers(run, wanted, progress=False)
    manifest = export_run(run, ExportOptions(samples=12, lava=Witness("require", samples=12)))
    check = manifest["verification"]["lava"]
    assert check["status"] == "passed" and check["mismatches"] == 0 and check["compared"] > 1000


def test_interrupted_it_continues_to_the_same_end(
    copied: tuple[Run, Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, wanted = copied
    shutil.copytree(run.path, tmp_path / "whole")
    whole = train_in_integers(Run(tmp_path / "whole"), wanted, progress=False)
    original = Distiller.training_step

    def interrupted(self: Distiller, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        if self.current_epoch == 1 and index == 2:
            raise KeyboardInterrupt
        return original(self, batch, index)

    monkeypatch.setattr(Distiller, "training_step", interrupted)
    with pytest.raises(NeurokdError, match="interrupted"):
        train_in_integers(run, wanted, progress=False)
    monkeypatch.undo()
    assert not run.complete and find_unfinished(None, tmp_path).path == run.path
    with pytest.raises(NeurokdError, match=r"has not finished; continue it with: neurokd train .*run, or delete"):
        export_run(run, OFF)
    continued = train_in_integers(run, run.wanted, progress=False)
    assert run.complete
    keys = ("float", "before", "after", "best_epoch")
    assert [continued.result()[key] for key in keys] == [whole.result()[key] for key in keys]


def test_killed_before_its_result_was_written_it_measures_the_same_start(
    copied: tuple[Run, Recipe],
) -> None:
    """The weights of the best epoch are there by then, and must not be taken for the start."""
    run, wanted = copied
    target = train_in_integers(run, wanted, progress=False)
    first = target.result()
    (target.path / "result.json").unlink()
    second = train_in_integers(run, wanted, progress=False).result()
    keys = ("float", "before", "after", "best_epoch")
    assert [second[key] for key in keys] == [first[key] for key in keys]


def test_a_start_that_no_epoch_beats_is_kept(copied: tuple[Run, Recipe]) -> None:
    run, _ = copied
    spoiling = recipe(Path(run.recipe.data.path or ""), bits=8, epochs=1, lr=3.0, schedule="constant")
    result = train_in_integers(run, spoiling, progress=False).result()
    assert result["best_epoch"] is None and result["after"] == result["before"]
    opened = open_run(run)
    assert (
        evaluate(load_integers(opened), opened.dataset.test).accuracy_per_step == result["before"]["accuracy_per_step"]
    )


def test_another_training_in_integers_is_not_mixed_in(copied: tuple[Run, Recipe]) -> None:
    run, wanted = copied
    train_in_integers(run, wanted, progress=False)
    other = recipe(Path(wanted.data.path or ""), bits=4)
    with pytest.raises(NeurokdError, match=r"qat': was begun with other settings of qat; delete it, or copy"):
        train_in_integers(run, other, progress=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "{", "damaged JSON"),
        (lambda text: json.dumps({**json.loads(text), "input_bits": 9}), "damaged; delete"),
        (lambda text: text.replace('"relu1"', '"other"'), "made for another network"),
    ],
    ids=["truncated", "out of range", "another network"],
)
def test_a_damaged_start_is_refused(copied: tuple[Run, Recipe], change: Callable[[str], str], message: str) -> None:
    run, wanted = copied
    train_in_integers(run, wanted, progress=False)
    path = run.qat.path / "quantization.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(NeurokdError, match=message):
        export_run(run, OFF)
