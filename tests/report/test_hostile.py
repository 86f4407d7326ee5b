"""Damaged run folders end in one error that names the file, and leave no report behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neurokd.errors import NeurokdError
from neurokd.report.write import write_report


def fails(folder: Path, *words: str) -> None:
    with pytest.raises(NeurokdError) as caught:
        write_report(folder)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    assert not (folder / "report").exists()


def test_no_folder(tmp_path: Path) -> None:
    fails(tmp_path / "absent", "absent", "no such folder")


def test_no_result(sample_run: Path) -> None:
    (sample_run / "result.json").unlink()
    fails(sample_run, "result.json", "neurokd train --resume")


@pytest.mark.parametrize("name", ["result.json", "export/manifest.json", "environment.json"])
def test_truncated_json(sample_run: Path, name: str) -> None:
    path = sample_run / name
    path.write_text(path.read_text()[:100])
    fails(sample_run, name)


@pytest.mark.parametrize("name", ["result.json", "export/manifest.json", "environment.json"])
def test_not_text_at_all(sample_run: Path, name: str) -> None:
    (sample_run / name).write_bytes(b"\xff\xfe\x00\x80" * 20)
    fails(sample_run, name)


@pytest.mark.parametrize("name", ["result.json", "export/manifest.json", "environment.json", "recipe.yaml"])
def test_a_list_instead_of_an_object(sample_run: Path, name: str) -> None:
    (sample_run / name).write_text("[1, 2]")
    fails(sample_run, name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("accuracy", float("nan")),
        ("accuracy", float("inf")),
        ("accuracy", 97.8),
        ("accuracy", "0.97"),
        ("accuracy", None),
        ("accuracy_per_step", [0.5, 0.6]),
        ("parameters", -1),
        ("firing_rate", {"conv1": float("nan")}),
    ],
)
def test_a_wrong_value_in_the_result(make_run: Callable[..., Path], key: str, value: Any) -> None:
    fails(make_run(edit_result=lambda result: result["student"].update({key: value})), "result.json", key)


def test_a_newer_format(make_run: Callable[..., Path]) -> None:
    fails(make_run(edit_manifest=lambda manifest: manifest.update(format=2)), "manifest.json", "format")


def test_a_network_outside_the_folder(make_run: Callable[..., Path]) -> None:
    fails(make_run(edit_manifest=lambda manifest: manifest.update(network="../../secret")), "manifest.json", "network")


def test_an_interval_upside_down(make_run: Callable[..., Path]) -> None:
    fails(make_run(edit_manifest=lambda manifest: manifest["energy"][0].update(low=9e9)), "manifest.json", "energy.0")


@pytest.mark.parametrize("cell", ["nan", "inf", "much"])
def test_metrics_that_are_no_numbers(sample_run: Path, cell: str) -> None:
    (sample_run / "metrics.csv").write_text(f"epoch,step,train_loss\n0,1,0.5\n1,2,{cell}\n")
    fails(sample_run, "metrics.csv", "line 3", "train_loss")


def test_broken_yaml(sample_run: Path) -> None:
    (sample_run / "recipe.yaml").write_text("a: [1, 2\nb: {")
    fails(sample_run, "recipe.yaml")


def test_deeply_nested_environment(sample_run: Path) -> None:
    (sample_run / "environment.json").write_text('{"a":' * 5000 + "1" + "}" * 5000)
    fails(sample_run, "environment.json")


def test_an_earlier_report_survives_a_failure(sample_run: Path) -> None:
    before = write_report(sample_run).html.read_text(encoding="utf-8")
    (sample_run / "result.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(NeurokdError):
        write_report(sample_run)
    assert (sample_run / "report" / "report.html").read_text(encoding="utf-8") == before
