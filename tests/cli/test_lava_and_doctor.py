"""`neurokd lava` and `neurokd doctor` on a machine with and without Lava."""

import json
from pathlib import Path

import pytest

from neurokd.cli.main import run
from neurokd.hardware.lava import environment


@pytest.fixture
def no_lava(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Lava."""
    monkeypatch.setattr(environment, "_in_this_interpreter", lambda: None)
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path))
    monkeypatch.delenv("NEUROKD_LAVA_PYTHON", raising=False)


@pytest.mark.usefixtures("no_lava")
def test_status_without_lava_is_exit_code_1_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lava", "status"]) == 1
    assert "run `neurokd lava install`" in capsys.readouterr().out
    assert run(["lava", "status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["installed"] is False


@pytest.mark.usefixtures("no_lava")
def test_doctor_reports_what_is_missing_and_still_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["torch"][0].isdigit()
    assert facts["lava"].startswith("not installed")
    assert facts["loihi2"] == "unknown: Lava is needed to ask"


@pytest.mark.lava
def test_doctor_asks_lava_about_loihi(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "lava-dl 0.6.0" in shown
    assert "loihi2" in shown


@pytest.mark.lava
def test_installing_twice_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lava", "install", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["versions"]["lava-nc"] == "0.10.0"
