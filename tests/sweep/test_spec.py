"""What a sweep file and `--grid` may say, and what they become."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.sweep.grid import combinations, points
from neurokd.sweep.overrides import override
from neurokd.sweep.spec import load_sweep

Write = Callable[..., Path]
TSER = {"method": {"name": "tser", "kd_weight": 0.5}}


@given(
    st.dictionaries(
        st.text("abc", min_size=1), st.lists(st.integers(), min_size=1, max_size=3, unique=True), max_size=4
    )
)
def test_a_grid_has_every_combination_once(grid: dict[str, list[Any]]) -> None:
    found = list(combinations(grid))
    assert len(found) == math.prod(len(values) for values in grid.values())
    assert len({repr(one) for one in found}) == len(found)
    assert all(one[key] in values for one in found for key, values in grid.items())


def test_all_variants_of_the_first_seed_come_first(write: Write, tmp_path: Path) -> None:
    file = write(seeds=[3, 1], variants={"ce": {}, "tser": {**TSER, "grid": {"method.temperature": [1, 2.5]}}})
    found = points(load_sweep(file))
    assert [point.run.path.as_posix() for point in found] == [
        f"runs/campaign/{name}-s{seed}"
        for seed in (3, 1)
        for name in ("ce", "tser-temperature=1", "tser-temperature=2.5")
    ]
    assert [point.recipe.seed for point in found] == [3, 3, 3, 1, 1, 1]
    assert found[2].recipe.method.model_dump()["temperature"] == 2.5
    assert points(load_sweep(file), tmp_path / "x")[0].run.path == tmp_path / "x" / "ce-s3"


def test_the_seed_may_choose_more_than_the_seed(write: Write) -> None:
    found = points(load_sweep(write(seeds=[3, 1], seeded=["seed", "data.split_seed"])))
    assert [(point.seed, point.recipe.seed, point.recipe.data.split_seed) for point in found] == [(3, 3, 3), (1, 1, 1)]
    folds = points(load_sweep(write(seeds=[3, 1], seeded=["data.split_seed"])))
    assert [(point.seed, point.recipe.seed, point.recipe.data.split_seed) for point in folds] == [(3, 0, 3), (1, 0, 1)]


def test_a_recipe_is_swept_from_the_command_line(tmp_path: Path, base: dict[str, Any]) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(base))
    sweep = load_sweep(file, ["seed=0,1,2", "method=ce,{name: tser, kd_weight: 0.5}"], ["training.epochs=7"])
    found = points(sweep)
    assert sweep.name == "small-sweep" and len(found) == 6
    assert [point.recipe.method.name for point in found] == ["ce", "tser"] * 3
    assert {point.recipe.training.epochs for point in found} == {7}
    assert found[1].run.path.name == "small-method=tser-s0"


def test_the_recipe_is_found_beside_the_sweep_file(tmp_path: Path, base: dict[str, Any]) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text(yaml.safe_dump({**base, "seed": 4}))
    file = tmp_path / "campaign.yaml"
    file.write_text("recipe: recipes/small.yaml\n")
    assert [point.run.path.name for point in points(load_sweep(file))] == ["small-s4"]


def test_a_method_is_replaced_and_other_sections_merge(base: dict[str, Any]) -> None:
    before = {**base, "method": {"name": "tser", "kd_weight": 0.9}}
    after = override(before, {"method": {"name": "kd"}, "training": {"lr": 0.1}, "teacher.training.epochs": 9})
    assert after["method"] == {"name": "kd"}
    assert after["training"] == {"epochs": 1, "batch_size": 16, "lr": 0.1}
    assert after["teacher"]["training"] == {"epochs": 9, "batch_size": 16}
    assert before == {**base, "method": {"name": "tser", "kd_weight": 0.9}}  # arguments stay as they are
    assert override(base, {"model": {"name": "vgg-9"}})["model"] == {"name": "vgg-9"}
    assert override(base, {"model": {"width": 8}})["model"] == {"name": "vgg-tiny", "width": 8}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"variant": {"ce": {}}}, "unknown key 'variant', did you mean 'variants'?"),
        ({"recipe": "x.yaml"}, "give either 'recipe', the path of one, or 'base'"),
        ({"grid": {"timesteps": []}}, "grid.timesteps: is empty"),
        ({"variants": {"a": {"grid": {"timesteps": []}}}}, "variants.a.grid.timesteps: is empty"),
        ({"seeds": []}, "seeds: .*at least 1 item"),
        ({"seeds": [-1]}, "seeds: expected whole numbers from 0, got -1"),
        ({"seeds": [0], "grid": {"seed": [1]}}, "say the same thing"),
        ({"seeds": [0, 0]}, "point 'small-s0' comes twice"),
        ({"variants": {"ce": {}, "kd": {}}, "baseline": "cee"}, "no variant 'cee', did you mean 'ce'?"),
        ({"variants": {"ce": {"grid": {"timesteps": [1]}}}, "baseline": "ce"}, "variant 'ce' has a grid"),
        ({"variants": {"a": {"grid": {"timesteps": [1]}}}, "grid": {"timesteps": [2]}}, "belongs to the whole sweep"),
        ({"variants": {"a/b": {}}}, "variants: name: .*got 'a/b'"),
        ({"variants": {"a": {"training": {"epoch": 3}}}}, "point 'a-s0': unknown key 'training.epoch', did you mean"),
        ({"variants": {"a": {"method.temperature": 2}}}, "point 'a-s0': unknown key 'method.ce.temperature'"),
        ({"variants": {"a": {"timesteps.x": 2}}}, "timesteps.x: 'timesteps' is a value, not a section"),
    ],
)  # fmt: skip
def test_mistakes_are_named(write: Write, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        points(load_sweep(write(**keys)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: {}\nvariants:\n  ce: {}\n  ce: {}\n", "line 4: 'ce' is given twice"),
        ("[1, 2]", "expected a mapping of keys, got list"),
        ("base: {", "not valid YAML"),
        ("recipe: nowhere.yaml", "recipe '.*nowhere.yaml': no such file"),
    ],
)
def test_a_file_that_is_no_sweep_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(NeurokdError, match=message):
        load_sweep(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("grid", "message"),
    [("timesteps", "expected key=value"), ("timesteps=", "is empty"), ("a=[1", "not a list of YAML")],
)
def test_a_grid_option_that_is_wrong_is_named(write: Write, grid: str, message: str) -> None:
    with pytest.raises(NeurokdError, match=f"--grid {grid.replace('[', chr(92) + '[')}.*{message}"):
        load_sweep(write(), [grid])
