"""A student that starts from its teacher stands in the table before its training, too: what each stage gave."""

from pathlib import Path
from typing import Any

import pytest

from neurokd.cli.train import show_result


@pytest.mark.parametrize(("at_start", "shown"), [([0.25, 0.5], True), (None, False)])
def test_train_shows_what_each_stage_gave(
    capsys: pytest.CaptureFixture[str], at_start: list[float] | None, shown: bool
) -> None:
    student = {"model": "vgg-tiny", "parameters": 1000, "accuracy_per_step": [0.75, 0.875]}
    teacher = {"model": "vgg-tiny", "parameters": 1000, "accuracy": 0.9, "reused": False}
    result: dict[str, Any] = {"method": "hsd", "data": {"name": "digits", "test": 40}, "teacher": teacher}
    show_result(Path("x"), {**result, "student": {**student, "accuracy_per_step_at_start": at_start}}, as_json=False)
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if "vgg-tiny" in line]
    rows = {cells[1].strip(): cells[3].strip() for cells in lines}
    before = {"student vgg-tiny, before its training, t = 2": "50.00%"} if shown else {}
    after = {"student vgg-tiny, t = 1": "75.00%", "student vgg-tiny, t = 2": "87.50%"}
    assert rows == {"teacher vgg-tiny": "90.00%", **before, **after}
