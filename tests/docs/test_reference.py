"""The reference names every command, option and recipe key; no page names a command that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from neurokd.distill import METHODS
from neurokd.recipe import Recipe

ROOT = Path(__file__).parents[2]
COMMANDS = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
RECIPE = (ROOT / "docs" / "reference" / "recipe.md").read_text(encoding="utf-8")


def commands() -> dict[str, Any]:
    """Every command of the command line by its full name."""
    from neurokd.cli.main import app

    def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        if not hasattr(command, "commands"):
            yield name, command
            return
        for key, child in command.commands.items():
            yield from walk(child, f"{name} {key}")

    return dict(walk(typer.main.get_command(app), "neurokd"))


def test_every_command_and_option_is_documented() -> None:
    for name, command in commands().items():
        assert f"`{name}" in COMMANDS, name
        for option in (option for parameter in command.params for option in parameter.opts if option.startswith("--")):
            assert option == "--help" or f"`{option}" in COMMANDS, f"{name} {option}"


@pytest.mark.parametrize("page", ["README.md", *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))])
def test_no_page_names_a_command_that_does_not_exist(page: str) -> None:
    known = {part for name in commands() for part in name.split()[1:2]}
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"(?:`|\$ |run: )neurokd ([a-z]+)", text)
    assert set(named) <= known, page


def keys(schema: dict[str, Any], node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of the keys below `node`; the branches of a union count together."""
    for name, child in node.get("properties", {}).items():
        branches = child.get("anyOf", [child])
        if not prefix or not any("$ref" in branch for branch in branches):
            yield f"{prefix}{name}"
        for option in branches:
            if "$ref" in option and name not in ("training", "model"):
                yield from keys(schema, schema["$defs"][option["$ref"].rpartition("/")[2]], f"{prefix}{name}.")


def test_every_recipe_key_is_documented() -> None:
    schema = Recipe.model_json_schema()
    for key in keys(schema, schema):
        name = key.removeprefix("data.").removeprefix("neuron.").removeprefix("teacher.")
        assert f"`{name}`" in RECIPE, key
    for section in ("TrainingConfig", "ModelConfig"):
        for name in schema["$defs"][section]["properties"]:
            assert f"`{name}`" in RECIPE, name


def test_every_method_and_coefficient_is_documented_with_its_default() -> None:
    for name, method in METHODS.items():
        for key, field in method.model_fields.items():
            if key != "name":
                assert re.search(rf"\| `{key}` \| {re.escape(str(field.default))} \|", RECIPE), f"{name}.{key}"


def test_the_example_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    recipe = yaml.safe_load((ROOT / "recipes" / "digits-tser.yaml").read_text(encoding="utf-8"))
    recipe["training"]["epochs"] = recipe["teacher"]["training"]["epochs"] = 3
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "digits-tser.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "cache"))
    exec(code.group(1), {})
    accuracies = re.findall(r"0\.\d+", capsys.readouterr().out.splitlines()[-1])
    assert len(accuracies) == recipe["timesteps"] and float(accuracies[-1]) > 0.8
    assert (tmp_path / "network.net").is_file()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(page: str) -> None:
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists(), target
