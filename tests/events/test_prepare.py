"""A set that is prepared lies where it is looked for."""

import sys
from pathlib import Path

import pytest

from neurokd.cli.main import run
from neurokd.data.catalogue import CATALOGUE
from neurokd.errors import NeurokdError
from neurokd.events.catalogue import event_files
from neurokd.events.tonic_sets import SOURCES


def test_digits_need_no_preparation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "prepare", "digits-dvs", "--data-root", str(tmp_path)]) == 0
    assert "simulated from scikit-learn's digits" in capsys.readouterr().out


def test_a_damaged_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "nmnist"
    folder.mkdir()
    for name in ("train.npz", "test.npz"):
        (folder / name).write_bytes(b"PK")
    assert run(["datasets", "prepare", "nmnist", "--data-root", str(tmp_path)]) == 2
    assert "nmnist/train.npz', key '(archive)': cannot be read" in capsys.readouterr().err


def test_every_published_event_set_can_be_imported() -> None:
    assert set(SOURCES) == {name for name, entry in CATALOGUE.items() if entry.events and entry.published}


def test_a_set_that_is_missing_is_named_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(NeurokdError, match=r"nmnist/train.npz' is missing; run `neurokd datasets prepare nmnist`"):
        event_files("nmnist", tmp_path)
    with pytest.raises(NeurokdError, match="data 'digits' is no event set that can be prepared; allowed are nmnist, "):
        event_files("digits", tmp_path)


def test_without_tonic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tonic", None)
    assert run(["datasets", "prepare", "nmnist", "--data-root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "data 'nmnist' is imported by the package tonic" in said
    assert "pip install 'neurokd[events]'" in said
