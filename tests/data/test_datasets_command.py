"""`neurokd datasets`: what is ready, and how to get the rest."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from neurokd.cli.main import run


def test_list_says_what_is_ready(idx_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "list", "--json", "--data-root", str(idx_root)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["data_root"] == str(idx_root)
    ready = {row["name"]: row["ready"] for row in answer["datasets"]}
    assert ready == {
        "digits": True, "fashion-mnist": True, "mnist": True, "cifar10": False, "cifar100": False,
        "image-folder": None, "arrays": None, "digits-dvs": True, "nmnist": False, "dvs-gesture": False,
        "cifar10-dvs": False, "ncaltech101": False, "events": None,
    }  # fmt: skip


def test_list_for_people(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NEUROKD_DATA", str(root))
    assert run(["datasets", "list"]) == 0
    out = capsys.readouterr().out
    assert f"data root: {root}" in out
    assert "missing: neurokd datasets prepare fashion-mnist" in out


@pytest.mark.parametrize(
    ("name", "said"), [("digits", "comes with scikit-learn"), ("arrays", "train.npz"), ("image-folder", "PATH/train")]
)
def test_prepare_explains_what_needs_no_download(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "prepare", name]) == 0
    assert said in capsys.readouterr().out


def test_prepare_checks_what_is_there(idx_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "prepare", "mnist", "--data-root", str(idx_root)]) == 0
    assert "20 training and 10 test images" in capsys.readouterr().out
    (idx_root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").write_bytes(b"")
    assert run(["datasets", "prepare", "mnist", "--data-root", str(idx_root)]) == 2
    assert "t10k-labels-idx1-ubyte' is damaged" in capsys.readouterr().err


def test_prepare_refuses_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "prepare", "imagenet"]) == 2
    assert "data 'imagenet' is unknown; allowed are digits, fashion-mnist" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["datasets", "list"], ["datasets", "prepare", "digits"]])
def test_these_need_no_torch(arguments: list[str]) -> None:
    code = f"import sys; from neurokd.cli.main import run; run({arguments!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
