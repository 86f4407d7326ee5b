"""The published figure stands below our own where a recipe carries one, and nothing stands there where it does not."""

import json
from pathlib import Path

import pytest

from neurokd.cli.main import run as neurokd
from neurokd.cli.train import show_result

RECIPE = """
name: small
data: {name: digits, train_samples: 100}
model: {name: vgg-tiny, width: 2}
timesteps: 1
training: {epochs: 1, batch_size: 32}
"""
PUBLISHED = """
published:
  accuracy: 95.58
  teacher_accuracy: 97.1
  source: TSER, table of [CIFAR] results
  protocol: "paper: normalised; here: pixels in [0, 1]"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_shows_what_the_paper_reports(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "small.yaml").write_text(RECIPE + PUBLISHED)
    assert neurokd(["train", "small.yaml", "--no-progress"]) == 0
    shown = capsys.readouterr().out
    assert "published: 95.58 % (TSER, table of [CIFAR] results), teacher 97.10 %" in shown
    assert "protocols: paper: normalised; here: pixels in [0, 1]" in shown
    result = json.loads((folder / "runs/small-001/result.json").read_text())
    assert result["published"]["accuracy"] == 95.58 != result["student"]["accuracy"]

    for value in ({**result["published"], "teacher_accuracy": None, "protocol": None}, None):
        show_result(folder, {**result, "published": value}, as_json=False)
        shown = capsys.readouterr().out
        assert ("published: 95.58 % (TSER, table of [CIFAR] results)\n" in shown) == (value is not None)
        assert "protocols" not in shown and "97.10" not in shown
    del result["published"]  # a run from before there was one
    show_result(folder, result, as_json=False)
    assert "published" not in capsys.readouterr().out


def test_a_run_without_a_published_figure_says_so_in_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "small.yaml").write_text(RECIPE)
    assert neurokd(["train", "small.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["published"] is None
