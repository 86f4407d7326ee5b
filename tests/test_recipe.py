"""Recipes: what is accepted, and the one line for everything else."""

from pathlib import Path

import pytest

from neurokd.errors import NeurokdError
from neurokd.recipe import load_recipe, parse_recipe

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))
TEACHER = {"teacher": {"model": {"name": "vgg-tiny"}}}
MINIMAL = {"name": "x", "data": {"name": "digits"}, "model": {"name": "vgg-tiny"}}


def test_overrides_reach_nested_keys() -> None:
    recipe = load_recipe(RECIPES[0], ["training.epochs=7", "method.temperature=2.5", "data.augment.shift=2"])
    assert (recipe.training.epochs, recipe.method.temperature, recipe.data.augment.shift) == (7, 2.5, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modle": {}}, "unknown key 'modle', did you mean 'model'?"),
        ({"training": {"epoch": 3}}, "did you mean 'epochs'?"),
        ({"training": {"zzz": 3}}, "allowed are epochs, batch_size"),
        ({"method": {"name": "ce", "label_smothing": 0.1}}, "did you mean 'label_smoothing'?"),
        ({"method": {"name": "foo"}}, "method"),
        ({"method": {"name": "tser"}}, "add a 'teacher' section"),
        ({"method": {"name": "hsd"}}, "add a 'teacher' section"),
        ({"start": "teacher"}, "start: teacher takes the weights of a teacher; add a 'teacher' section"),
        ({"start": "elsewhere"}, "start: Input should be 'random', 'teacher' or 'converted', got 'elsewhere'"),
        ({"method": {"name": "sakd", "tap": "last"}, **TEACHER}, "unknown key 'method.sakd.tap', did you mean 'taps'?"),
        ({"method": {"name": "sakd", "taps": "stage"}, **TEACHER}, "'stages', 'blocks' or 'last', got 'stage'"),
        ({"method": {"name": "lasnn", "taps": []}, **TEACHER}, "at least 1 item"),
        ({"method": {"name": "kdsnn", "taps": [{"student": "a"}]}, **TEACHER}, "teacher: Field required"),
        ({"method": {"name": "sakd", "logit_weight": 0, "feature_weight": 0}, **TEACHER}, "are all 0"),
        (
            {"method": {"name": "sakd", "feature_weight_from": {-1: 0.1}}, **TEACHER},
            "greater than or equal to 0, got -1",
        ),
        (
            {"method": {"name": "bkdsnn", "mask_ratio": 1.0}, **TEACHER},
            "method.bkdsnn.mask_ratio: Input should be less",
        ),
        ({"method": "kd"}, "method: expected a section of keys, e.g. {name: kd}, got 'kd'"),
        ({"method": {"name": "foo"}}, "method: unknown name 'foo'; allowed are 'ce', 'tet'"),
        ({"method": {"kd_weight": 0.5}}, "method: expected a 'name' among the keys"),
        ({"training": 5}, "training: expected a section of keys, got 5"),
        ({"seed": 2**32}, "seed: Input should be less than or equal to 4294967295, got 4294967296"),
        ({"method": {"name": "kd", "temperature": float("inf")}, **TEACHER}, "finite number, got inf"),
        ({"training": {"lr": float("inf")}}, "training.lr: Input should be a finite number, got inf"),
        ({"neuron": {"threshold": float("inf")}}, "neuron.threshold: Input should be a finite number, got inf"),
        (
            {"method": {"name": "kdsnn", "taps": "relu1"}, **TEACHER},
            "method.kdsnn.taps: Input should be 'stages', 'blocks' or 'last', got 'relu1'; method.kdsnn.taps: Input",
        ),
        (
            {"start": "teacher", "teacher": {"model": {"name": "vgg-tiny"}, "qcfs": {}}},
            "start: teacher takes ReLU weights; with teacher.qcfs it is start: converted",
        ),
        ({"timesteps": 0}, "timesteps: Input should be greater than or equal to 1, got 0"),
        ({"training": {"lr": "fast"}}, "training.lr"),
        ({"neuron": {"decay": 1.5}}, "neuron.decay"),
        ({"neuron": None}, "plain ANN"),
        ({"name": "../up"}, "name"),
        ({"data": {"name": "imagenet"}}, "data.name"),
    ],
)
def test_errors_name_the_key_the_value_and_the_way_out(change: dict[str, object], message: str) -> None:
    with pytest.raises(NeurokdError) as caught:
        parse_recipe({**MINIMAL, **change})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_taps_and_schedules_survive_the_yaml_of_the_recipe(tmp_path: Path) -> None:
    method = {
        "name": "sakd",
        "taps": ["relu1", {"student": "relu2", "teacher": "layer2.1.relu"}],
        "feature_weight_from": {10: 0.01, 2: 5.0},
    }
    recipe = parse_recipe({**MINIMAL, **TEACHER, "start": "teacher", "method": method})
    (tmp_path / "copy.yaml").write_text(recipe.to_yaml())
    copy = load_recipe(tmp_path / "copy.yaml")
    assert copy == recipe and copy.method.weight_at(12) == 0.01
    short = load_recipe(tmp_path / "copy.yaml", ["method.taps=blocks", "method.feature_weight_from={1: 2.0}"])
    assert (short.method.taps, short.method.weight_at(3)) == ("blocks", 2.0)


def test_a_teacher_that_nothing_needs_is_not_used() -> None:
    assert not parse_recipe({**MINIMAL, **TEACHER}).uses_teacher
    assert parse_recipe({**MINIMAL, **TEACHER, "start": "teacher"}).uses_teacher
    assert parse_recipe({**MINIMAL, **TEACHER, "method": {"name": "lasnn"}}).uses_teacher


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "expected a mapping"),
        ("", "expected a mapping"),
        ("\udce4", "not valid YAML"),
        ("recipe: x.yaml\ngrid: {}", "this is the file of a sweep; run it with: neurokd sweep .*broken.yaml"),
        ("base: {}\nspace: {}", "this is the file of a search; run it with: neurokd search .*broken.yaml"),
    ],
)
def test_files_that_are_no_recipe(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(NeurokdError, match=message):
        load_recipe(path)


def test_a_missing_file() -> None:
    with pytest.raises(NeurokdError, match="no such file"):
        load_recipe(Path("nowhere.yaml"))


@pytest.mark.parametrize("override", ["epochs", "=3", "name.sub=1", "training.epochs=["])
def test_broken_overrides(override: str) -> None:
    with pytest.raises(NeurokdError, match="--set"):
        load_recipe(RECIPES[0], [override])


def test_the_teacher_is_a_plain_ann_on_the_same_split() -> None:
    recipe = load_recipe(RECIPES[0].parent / "digits-tser.yaml")
    teacher = recipe.teacher_recipe()
    assert teacher.neuron is None and teacher.timesteps == 1 and teacher.method.name == "ce"
    assert (teacher.data, teacher.seed) == (recipe.data, recipe.seed)
