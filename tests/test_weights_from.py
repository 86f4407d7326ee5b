"""A run that takes the weights of another one: what it starts with, what it says of it, what is refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from neurokd.data.dataset import load_dataset
from neurokd.errors import NeurokdError
from neurokd.evaluation import evaluate
from neurokd.models import build_model
from neurokd.neurons import LIF
from neurokd.recipe import Recipe, parse_recipe
from neurokd.runs import Run
from neurokd.spiking import to_spiking
from neurokd.training import fit

pytestmark = pytest.mark.usefixtures("cache")
SOFT = {"reset": "soft", "initial": 0.25}
HARD = {"reset": "hard", "initial": 0.0}


def recipe(data: Path, **changes: object) -> Recipe:
    """A small network on the small set."""
    values: dict[str, object] = {
        "name": "small",
        "data": {"name": "arrays", "path": str(data)},
        "model": {"name": "vgg-tiny", "width": 4},
        "timesteps": 3,
        "neuron": SOFT,
        "method": {"name": "ce"},
        "training": {"epochs": 5, "batch_size": 16, "lr": 0.01},
    }
    return parse_recipe({**values, **changes})


@pytest.fixture
def soft(data: Path, tmp_path: Path) -> Run:
    """A trained run whose neurons reset softly."""
    return fit(recipe(data), tmp_path / "soft", progress=False)


def test_a_soft_network_goes_on_with_hard_resets(data: Path, tmp_path: Path, soft: Run) -> None:
    """What it starts with is the old weights under the new neurons, built here by hand."""
    run = fit(recipe(data, neuron=HARD, weights_from=soft.path), tmp_path / "hard", progress=False)
    student = run.result()["student"]
    dataset = load_dataset(run.recipe.data)
    by_hand = to_spiking(build_model("vgg-tiny", dataset.shape, len(dataset.classes), width=4), LIF(), 3)
    by_hand.load_state_dict(load_file(soft.weights))
    at_start = evaluate(by_hand, dataset.test).accuracy_per_step
    before = soft.result()["student"]["accuracy_per_step"]
    assert student["accuracy_per_step_at_start"] == at_start != before
    assert student["weights_from"]["run"] == str(soft.path) and student["weights_from"]["neuron"]["reset"] == "soft"
    assert student["weights_from"]["accuracy_per_step"] == before
    old, new = load_file(soft.weights), load_file(run.weights)
    assert any(not torch.equal(old[name], new[name]) for name in old)
    assert run.recipe.weights_from == soft.path  # which the saved recipe still says


def test_without_epochs_the_old_weights_are_measured_at_other_time_steps(data: Path, tmp_path: Path, soft: Run) -> None:
    unchanged = recipe(data, timesteps=2, weights_from=soft.path, training={"epochs": 0})
    student = fit(unchanged, tmp_path / "two", progress=False).result()["student"]
    first_two = soft.result()["student"]["accuracy_per_step"][:2]
    assert student["accuracy_per_step"] == student["accuracy_per_step_at_start"] == first_two


def test_it_needs_no_teacher_but_for_its_method(
    data: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {"epochs": 1, "batch_size": 16}
    teacher = {"model": {"name": "vgg-tiny", "width": 4}, "qcfs": {"levels": 4}, "training": short}
    converted = {"start": "converted", "teacher": teacher, "training": short, "neuron": SOFT}
    first = fit(recipe(data, **converted), tmp_path / "first", progress=False)
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "empty"))
    onward = fit(
        recipe(data, **{**converted, "neuron": HARD}, weights_from=first.path), tmp_path / "second", progress=False
    )
    assert onward.result()["teacher"] is None and not (tmp_path / "empty").exists()
    assert set(load_file(first.weights)) == set(load_file(onward.weights))  # the trained thresholds among them


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"name": "vgg-tiny", "width": 5}}, r"made for another model than the recipe's; \d+ tensors differ"),
        ({"data": {"split_seed": 1}}, "was trained on images that this recipe validates with; keep data.split_seed"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_folder_is_made(
    data: Path, tmp_path: Path, soft: Run, changes: dict[str, dict[str, object]], message: str
) -> None:
    values = recipe(data, weights_from=soft.path).model_dump(mode="json")
    values = {**values, **{key: {**values[key], **inner} for key, inner in changes.items()}}
    with pytest.raises(NeurokdError, match=message):
        fit(parse_recipe(values), tmp_path / "other", progress=False)
    assert not (tmp_path / "other").exists()


def test_an_unfinished_run_has_no_weights_to_give(data: Path, tmp_path: Path, soft: Run) -> None:
    (soft.path / "result.json").unlink()
    with pytest.raises(NeurokdError, match="training has not finished"):
        fit(recipe(data, weights_from=soft.path), tmp_path / "other", progress=False)
