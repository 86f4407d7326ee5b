"""The verdict says passed for one case alone; every doubt says something else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neurokd.report.data import load
from neurokd.report.verdict import Verdict, judge


def lava(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """An edit of the manifest's comparison with Lava."""
    return lambda manifest: manifest["verification"]["lava"].update(changes)


def verdict(folder: Path) -> Verdict:
    return judge(load(folder))


def test_no_differing_spike_passes(sample_run: Path) -> None:
    found = verdict(sample_run)
    assert found.status == "passed"
    assert found.headline == "0 differing spikes in 5,253,120 compared, Lava 0.10.0"


def test_one_differing_spike_fails_whatever_the_status_says(make_run: Callable[..., Path]) -> None:
    found = verdict(make_run(edit_manifest=lava(mismatches=1)))
    assert (found.status, found.headline[:17]) == ("failed", "1 differing spike")


def test_a_difference_in_one_layer_fails_and_names_the_layer(make_run: Callable[..., Path]) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["verification"]["lava"]["layers"][2]["mismatches"] = 3

    found = verdict(make_run(edit_manifest=edit))
    assert found.status == "failed"
    assert "'features.6'" in found.detail


def test_a_difference_in_the_read_out_alone_fails_and_is_not_called_a_spike(make_run: Callable[..., Path]) -> None:
    found = verdict(make_run(edit_manifest=lava(mismatches=4, readout={"compared": 14400, "mismatches": 4})))
    assert (found.status, found.headline) == ("failed", "4 differing read-out values, Lava 0.10.0")


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"status": "skipped", "reason": "no Lava here"}, "unverified", "Not verified on Lava: no Lava here"),
        ({"status": "failed", "reason": "time limit of 60 s"}, "failed", "Verification on Lava failed"),
        ({"compared": 0, "layers": [], "readout": None}, "unverified", "Not verified on Lava"),
    ],
)
def test_other_outcomes(make_run: Callable[..., Path], changes: dict[str, Any], status: str, words: str) -> None:
    found = verdict(make_run(edit_manifest=lava(**changes)))
    assert (found.status, found.headline) == (status, words)


def test_a_changed_artefact_fails(sample_run: Path) -> None:
    (sample_run / "export" / "network.net").write_bytes(b"something else")
    assert verdict(sample_run).headline == "network.net is not the file that was verified"


def test_a_missing_artefact_fails(sample_run: Path) -> None:
    (sample_run / "export" / "network.net").unlink()
    assert verdict(sample_run).status == "failed"


def test_no_export_and_no_comparison_are_unverified(sample_run: Path) -> None:
    path = sample_run / "export" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["verification"] = {}
    path.write_text(json.dumps(manifest))
    assert verdict(sample_run).status == "unverified"
    path.unlink()
    assert verdict(sample_run).headline == "Not exported yet"
