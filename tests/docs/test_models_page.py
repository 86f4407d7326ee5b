"""The page of the models shows every model with its options and its size."""

import inspect
import re
from pathlib import Path

import pytest
import torch

from neurokd.models import MODELS, build_model
from neurokd.models.build import LIBRARIES
from neurokd.models.resnet import STEMS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "models.md").read_text(encoding="utf-8")
ROWS = {
    cells[0]: cells for cells in (re.findall(r"[^|]+", line) for line in PAGE.splitlines() if line.startswith("| `"))
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_row(name: str) -> None:
    _, parameters, options, _ = (cell.strip() for cell in ROWS[f" `{name}` "])
    with torch.device("meta"):
        model = build_model(name, (3, 32, 32), 10)
    assert parameters == f"{sum(parameter.numel() for parameter in model.parameters()):,}"
    expected = [f"`{p.name}={p.default}`" for p in inspect.signature(MODELS[name]).parameters.values()][2:]
    assert options == ", ".join(expected)


def test_every_option_and_value_is_explained() -> None:
    options = {p.name for factory in MODELS.values() for p in list(inspect.signature(factory).parameters.values())[2:]}
    assert {f" `{option}` " for option in options} <= set(ROWS)
    assert all(f"`{stem}`" in "".join(ROWS[" `stem` "]) for stem in STEMS)
    assert {library for row in ROWS for library, _, _ in [row.strip(" `").partition(":")]} >= set(LIBRARIES)
