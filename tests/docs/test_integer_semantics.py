"""The worked examples of the reference page are cases that the simulator is tested against, word for word."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "integer-semantics.md").read_text(encoding="utf-8")
EXAMPLES: list[dict[str, Any]] = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.+?)```", PAGE, flags=re.S)]
CASES: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests" / "cases" / "lif.yaml").read_text(encoding="utf-8"))


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 7


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["name"] for example in EXAMPLES])
def test_example_is_a_case(example: dict[str, Any]) -> None:
    assert example in CASES
