"""The three files of a report: what they say, what they say about what is missing, and nothing from outside."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neurokd.report.data import load
from neurokd.report.summary import summarise
from neurokd.report.write import write_report


def page(folder: Path) -> str:
    return write_report(folder).html.read_text(encoding="utf-8")


def test_three_files_and_nothing_else(sample_run: Path) -> None:
    written = write_report(sample_run)
    assert sorted(path.name for path in (sample_run / "report").iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
    ]
    assert written.summary.verdict.status == "passed"


def test_output_goes_where_it_is_asked_to(sample_run: Path, tmp_path: Path) -> None:
    write_report(sample_run, tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "report.html").is_file()
    assert not (sample_run / "report").exists()


def test_the_page_is_one_file_without_scripts_or_addresses(sample_run: Path) -> None:
    html = page(sample_run)
    assert "<script" not in html
    addresses = re.findall(r"""(?:src|href|action)\s*=\s*["']?([^"'>\s]*)""", html)
    assert addresses
    assert all(address.startswith("#") or address == "data:," for address in addresses)
    assert not re.search(r"url\(|@import", html)
    assert "default-src 'none'" in html


def test_the_page_shows_the_figures(sample_run: Path) -> None:
    html = page(sample_run).replace("\u202f", " ")
    for words in (
        "0 differing spikes in 5,253,120 compared, Lava 0.10.0",
        "97.5 %",
        "\u22120.8 points",
        "Horowitz, ISSCC 2014",
        "no claim about a chip",
        "effective ACs per sample",
        "kd_weight: 0.5",
        "2 January 2026",
        "Differing spike",
    ):
        assert words in html, words


def test_markdown_and_json_agree_with_the_page(sample_run: Path) -> None:
    written = write_report(sample_run)
    markdown = written.markdown.read_text(encoding="utf-8")
    data = json.loads(written.json.read_text(encoding="utf-8"))
    assert "VERIFIED: 0 differing spikes in 5,253,120 compared" in markdown
    assert data["verdict"]["status"] == "passed"
    assert [stage["stage"] for stage in data["waterfall"]] == ["teacher", "float student", "quantised", "lava"]
    assert data["waterfall"][1]["drop"] == pytest.approx(0.97778 - 0.98611)
    assert data["totals"]["neurons"] == 3658
    assert data["manifest"]["layers"][0]["threshold"] == 51200


def test_text_from_the_run_never_becomes_markup(make_run: Callable[..., Path]) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> | `x`"

    def edit_result(result: dict[str, Any]) -> None:
        result.update(name=attack, classes=[attack], method=attack)
        result["data"]["name"] = attack

    def edit_manifest(manifest: dict[str, Any]) -> None:
        manifest["layers"][0]["name"] = attack
        manifest["verification"]["lava"].update(status="skipped", reason=attack)
        manifest["waterfall"][0]["stage"] = attack
        manifest["energy"][0].update(source=attack, label=attack)

    folder = make_run(edit_result=edit_result, edit_manifest=edit_manifest)
    (folder / "recipe.yaml").write_text("name: '</pre><script>alert(3)</script>```'\n")
    (folder / "environment.json").write_text(json.dumps({attack: attack}))
    written = write_report(folder)
    for path in (written.html, written.markdown):
        outside_the_recipe = path.read_text(encoding="utf-8").replace("name: '</pre><script>", "")
        assert "<script" not in outside_the_recipe
        assert "<img" not in outside_the_recipe
    assert "</pre><script" not in written.html.read_text(encoding="utf-8")
    assert "\n````yaml\n" in written.markdown.read_text(encoding="utf-8")  # a fence that the recipe cannot close


def test_what_is_missing_is_said(sample_run: Path) -> None:
    shutil.rmtree(sample_run / "export")
    for name in ("metrics.csv", "environment.json", "recipe.yaml"):
        (sample_run / name).unlink()
    html = page(sample_run)
    for words in (
        "Not exported yet",
        "no integers to show",
        "No energy was estimated: the network is not exported yet.",
        "no metrics.csv",
        "versions and machine are not recorded",
        "holds no recipe.yaml",
        "Measured on the float student",
    ):
        assert words in html, words


def test_a_stage_that_did_not_run_says_why(make_run: Callable[..., Path]) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["waterfall"] = manifest["waterfall"][:3]
        manifest["verification"]["lava"] = {"status": "skipped", "reason": "no Lava environment was found"}

    summary = summarise(load(make_run(edit_manifest=edit)))
    last = summary.waterfall[-1]
    assert (last.stage, last.accuracy, last.note) == ("lava", None, "no Lava environment was found")


def test_no_drop_between_different_samples(make_run: Callable[..., Path]) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["waterfall"][3].update(samples=100, accuracy=0.9)

    folder = make_run(edit_manifest=edit)
    assert summarise(load(folder)).waterfall[3].drop is None
    assert "other samples" in page(folder)


def test_a_plain_result_without_optional_keys_is_enough(tmp_path: Path) -> None:
    result = {
        "format": 1,
        "name": "bare",
        "timesteps": 1,
        "data": {"name": "digits", "test": 10},
        "method": "ce",
        "teacher": None,
        "student": {"model": "mlp", "accuracy": 1.0},
    }
    (tmp_path / "result.json").write_text(json.dumps(result))
    html = page(tmp_path)
    assert "The method ce uses no teacher." in html
    assert "did not record the accuracy of every step" in html


def test_a_run_of_one_step_one_epoch_and_no_spikes_is_drawn(make_run: Callable[..., Path]) -> None:
    def edit_result(result: dict[str, Any]) -> None:
        result["timesteps"] = 1
        result["student"]["accuracy_per_step"] = [0.5]

    def edit_manifest(manifest: dict[str, Any]) -> None:
        manifest.update(timesteps=1, accuracy_per_step=[0.5])
        for layer in manifest["layers"]:
            layer.update(firing_rate=0.0, spikes_per_sample=0.0)
        for entry in manifest["energy"]:
            entry.update(value=0.0, low=0.0, high=0.0)

    folder = make_run(edit_result=edit_result, edit_manifest=edit_manifest)
    (folder / "metrics.csv").write_text("epoch,step,train_loss,val_accuracy\n0,10,1.5,\n0,10,,1.0\n")
    html = page(folder)
    assert not re.search(r"\b(nan|inf)\b", html, flags=re.I)
    assert "Nothing to draw: every estimate is zero." in html


def _every_form(manifest: dict[str, Any]) -> None:
    """A manifest with the forms between float and integers, and the first loss among them."""
    teacher, student, quantised, lava = manifest["waterfall"]
    forms = [
        {
            "stage": name,
            "accuracy": 0.97778 - lost,
            "agreement": 1.0 - lost,
            "samples": student["samples"],
            "note": None,
        }
        for name, lost in (("pooling folded", 0.0), ("weights rounded", 0.005), ("neurons rounded", 0.005))
    ]
    manifest["waterfall"] = [teacher, student | {"agreement": 1.0}, *forms, quantised | {"agreement": 0.99}, lava]
    change = {"before": 0.125, "after": 0.25}
    manifest["first_loss"] = {
        "stage": "weights rounded", "before": "pooling folded", "points": 0.5, "starts_at": "conv2",
        "layers": [{"name": "conv1", **change, "error": 0.01}, {"name": "conv2", **change, "error": 0.345}],
    }  # fmt: skip
    manifest["calibration"] = {
        "samples": 512, "clip": {"conv1": 0.9, "conv2": 1.0}, "method": "mse", "weight_bits": 8, "input_bits": 7,
        "rounding": "compensated", "per_channel": True,
    }  # fmt: skip


def test_every_form_between_float_and_integers_is_drawn(make_run: Callable[..., Path]) -> None:
    written = write_report(make_run(edit_manifest=_every_form))
    html = written.html.read_text(encoding="utf-8").replace("\u202f", " ")
    assert 'viewBox="0 0 1016 300"' in html and "weights rounded" in html and ">Agreement<" in html
    assert "Most of the error of the firing rates begins in conv2." in html and "34.50 %" in html
    stages = {stage.stage: stage for stage in written.summary.waterfall}
    assert stages["weights rounded"].agreement == pytest.approx(0.995)
    assert stages["neurons rounded"].drop == 0.0
    markdown = written.markdown.read_text(encoding="utf-8")
    assert "weights rounded: 0.50. Most of the error of the firing rates begins in conv2." in markdown
    provenance = dict(written.summary.provenance)
    assert provenance["scales"] == "mse, weights of 8 bits, inputs of 7, rounding compensated, a scale per channel"
    assert provenance["weights kept"].startswith("up to 0.9 to 1, by layer, of the largest")


def test_without_a_loss_the_report_says_so(make_run: Callable[..., Path]) -> None:
    html = page(make_run(edit_manifest=lambda manifest: (_every_form(manifest), manifest.update(first_loss=None))[1]))
    assert "No stage loses more than 0.2 points of accuracy" in html and "begins in conv2" not in html


def test_manifests_of_old_are_drawn_as_they_were(sample_run: Path) -> None:
    html = page(sample_run)
    assert "Agreement" not in html and "Where a loss begins" not in html and 'viewBox="0 0 480 300"' in html
    assert dict(summarise(load(sample_run)).provenance)["weights kept"].startswith("up to 0.9 of the largest")
