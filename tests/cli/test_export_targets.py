"""neurokd export --target: a residual network with soft resets, refused where it cannot run, else flagged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from neurokd.cli.main import run as neurokd

RECIPE = """
name: soft
data: {name: digits, train_samples: 128}
model: {name: resnet18, width: 2}
neuron: {decay: 1.0, reset: soft, initial: 0.5}
timesteps: 2
method: {name: ce}
training: {epochs: 1, batch_size: 32, lr: 0.01}
"""
EXPORT = ["export", "--samples", "8", "--lava", "off"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/soft-001`, trained once for this module."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "soft.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "neurokd", "train", "soft.yaml", "--no-progress", "--no-check"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def test_the_stock_chip_refuses_a_soft_reset_with_the_way_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert neurokd(EXPORT) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        "neurokd: layer 'relu1': soft reset cannot run on loihi2; use neuron: {reset: hard, initial: 0}, "
        "neurokd train RUN --hard-reset, or --target loihi2-microcode"
    )
    assert not (project / "runs/soft-001/export").exists()


@pytest.mark.parametrize(
    ("target", "needs"), [("loihi2-microcode", "custom microcode"), ("lava-cpu", "a Lava process model of its own")]
)
def test_what_a_neuron_needs_is_in_the_manifest(
    project: Path, capsys: pytest.CaptureFixture[str], target: str, needs: str
) -> None:
    assert neurokd([*EXPORT, "--target", target]) == 0
    note = f"layer 'relu1': soft reset and membrane that starts at 0.5 of the threshold needs {needs}"
    assert f"note: {note}" in capsys.readouterr().out.replace("\n", " ").replace("  ", " ")
    manifest = json.loads((project / "runs/soft-001/export/manifest.json").read_text())
    assert manifest["target"] == target and note in manifest["notes"] and len(manifest["notes"]) == 17
    layers = {row["name"]: row for row in manifest["layers"]}
    assert len(layers) == 18 and layers["blocks.1_1.relu2"]["kind"] == "conv"
