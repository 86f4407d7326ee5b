"""The demo, as `make demo` runs it, held to its promises."""

import json
from pathlib import Path

import pytest

from neurokd.cli.main import run as neurokd


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "name", "accuracy", "values"),
    [
        ([], "digits-tser-001", 0.97, 2 * (4096 + 2048 + 1024 + 10)),
        (["--events"], "digits-dvs-hsd-001", 0.93, 5 * (4096 + 2048 + 1024 + 10)),
    ],
    ids=["images", "events"],
)
def test_the_demo_keeps_its_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], name: str, accuracy: float, values: int
) -> None:
    from neurokd.hardware.lava.environment import status

    lava = status().python
    monkeypatch.setenv("NEUROKD_LAVA_PYTHON", str(lava))
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "cache"))  # a teacher of its own
    monkeypatch.chdir(tmp_path)
    assert neurokd(["demo", *options]) == 0
    folder = tmp_path / "runs" / name
    result = json.loads((folder / "result.json").read_text())
    manifest = json.loads((folder / "export" / "manifest.json").read_text())
    lava_check = manifest["verification"]["lava"]
    assert result["teacher"]["accuracy"] >= 0.98
    assert manifest["accuracy_per_step"][-1] >= accuracy
    assert lava_check["samples"] >= 200 and lava_check["mismatches"] == 0
    assert lava_check["compared"] >= 200 * values
    assert lava_check["models"] == "loaded by stock netx; process models: stock"
    assert (folder / "report" / "report.html").stat().st_size > 10_000
