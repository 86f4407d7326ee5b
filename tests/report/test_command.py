"""`neurokd report` as it is typed."""

import json
from pathlib import Path

import pytest

from neurokd.cli.main import run


def test_report_prints_the_verdict_and_the_page(sample_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(sample_run)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "0 differing spikes in 5,253,120 compared, Lava 0.10.0",
        f"{sample_run}/report/report.html",
    ]


def test_json_is_one_document(sample_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(sample_run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["status"] == "passed"


def test_a_damaged_run_is_one_line_and_exit_2(sample_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sample_run / "result.json").write_text("{")
    assert run(["report", str(sample_run)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
