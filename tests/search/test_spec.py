"""Search files: what they hold, and what is refused with a reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from neurokd.errors import NeurokdError
from neurokd.search.space import FACTORY, Space
from neurokd.search.spec import SearchFile, load_search

ROOT = Path(__file__).parents[2]
TEACHER = {"model": {"name": "vgg-tiny", "width": 4}}


def test_the_recipe_keeps_everything_but_its_model(write_search: Callable[..., Path], tmp_path: Path) -> None:
    inline = load_search(write_search({"model": {"name": "vgg-tiny", "width": 9}}, epochs=7))
    assert inline.base.model.name == FACTORY
    assert (inline.epochs, inline.base.training.epochs) == (7, 2)
    assert inline.supernet_recipe.training.epochs == 7
    recipe = yaml.safe_load((tmp_path / "small.yaml").read_text())["base"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert load_search(write_search(base=None, recipe="other/recipe.yaml", epochs=7)).space == inline.space


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*search*.yaml")), ids=lambda path: path.name)
def test_the_search_files_of_the_repository_are_valid(path: Path) -> None:
    search = load_search(path)
    if "cifar100" in path.name:
        assert search.space.count == 36_288
        assert search.samples == 300


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": 3}, "unknown key 'sample', did you mean 'samples'"),
        ({"space": {"channels": [[4]], "depths": [[1]], "depth": 1}}, "'space.depth', did you mean 'depths'"),
        ({"samples": 17}, "samples is 17, but the space has only 16 subnets"),
        ({"samples": 1}, "samples: Input should be greater than or equal to 3, got 1"),
        ({"sampler": "grid"}, "sampler: .*'random' or 'tpe', got 'grid'"),
        ({"space": {"channels": [[4], [8]], "depths": [[1]]}}, "channels has 2 stages, depths has 1"),
        ({"recipe": "a.yaml"}, "give either 'recipe'.* or 'base'"),
        ({"space": None}, "space: Field required"),
    ],
)
def test_a_wrong_key_is_named(write_search: Callable[..., Path], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        load_search(write_search(**changes))


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({"method": {"name": "sakd"}, "teacher": TEACHER}, "method 'sakd' compares features.*allowed are ce, tet, kd"),
        ({"method": {"name": "kd"}, "teacher": TEACHER, "start": "teacher"}, "start: teacher copies the weights"),
        ({"weights_from": "runs/one"}, "weights_from has the weights of one architecture"),
        ({"neuron": None, "timesteps": 1, "qcfs": {}}, "qcfs trains a threshold for each layer"),
        ({"training": {"epochs": 0}}, "training.epochs is 0; weights that many architectures share have to be trained"),
        ({"method": {"name": "kd"}}, "its recipe: .*add a 'teacher' section"),
        ({"trainin": {}}, "unknown key 'trainin', did you mean 'training'"),
    ],
)
def test_a_recipe_that_no_supernet_can_follow_is_refused(
    write_search: Callable[..., Path], base: dict[str, Any], message: str
) -> None:
    with pytest.raises(NeurokdError, match=message):
        load_search(write_search(base))


def test_files_that_are_not_there_are_named(write_search: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(NeurokdError, match=r"search '.*none\.yaml': no such file"):
        load_search(tmp_path / "none.yaml")
    with pytest.raises(NeurokdError, match=r"recipe '.*gone\.yaml': no such file"):
        load_search(write_search(base=None, recipe="gone.yaml"))


def test_every_key_is_documented_with_its_default() -> None:
    page = (ROOT / "docs" / "reference" / "search-file.md").read_text(encoding="utf-8")
    for name, field in SearchFile.model_fields.items():
        if name == "space":
            assert all(f"| `space.{key}` | required |" in page for key in Space.model_fields)
        elif field.default is None:
            assert f"`{name}`" in page
        else:
            shown = f"`{field.default}`" if isinstance(field.default, str) else str(field.default)
            assert f"| `{name}` | {shown} |" in page, name
