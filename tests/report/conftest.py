"""A complete run folder for the report's tests. Its figures are made up for the tests and are nobody's results."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Edit = Callable[[dict[str, Any]], None]

# name, kind, shape, synapses, weights, threshold, clipped, rate
LAYERS = [
    ("features.0", "conv", [16, 8, 8], 18432, (-186, 212), 51200, 0.0, 0.183),
    ("features.3", "conv", [32, 8, 8], 294912, (-242, 254), 9640, 0.00041, 0.094),
    ("features.6", "conv", [32, 4, 4], 147456, (-254, 238), 8872, 0.0012, 0.121),
    ("classifier.0", "dense", [64], 32768, (-196, 174), 6120, 0.0, 0.157),
    ("readout", "dense", [10], 640, (-254, 250), 131071, 0.0, None),
]
T, SAMPLES, LAVA_SAMPLES = 4, 360, 360


def result() -> dict[str, Any]:
    """`result.json` as training writes it."""
    return {
        "format": 1,
        "name": "digits-kd-001",
        "created": "2026-01-02T03:04:05+00:00",
        "timesteps": T,
        "classes": [str(digit) for digit in range(10)],
        "data": {
            "name": "digits",
            "fingerprint": {"train": "a" * 64, "test": "b" * 64},
            "train": 1293,
            "validation": 144,
            "test": SAMPLES,
        },
        "method": "kd",
        "teacher": {"accuracy": 0.98611, "model": "small-cnn", "parameters": 88_394, "macs": 1_212_416, "reused": True},
        "student": {
            "model": "small-cnn",
            "parameters": 47_594,
            "accuracy": 0.97778,
            "accuracy_per_step": [0.91667, 0.95556, 0.97222, 0.97778],
            "validation_accuracy": 0.97917,
            "best_epoch": 17,
            "firing_rate": {name: rate for name, *_, rate in LAYERS if rate is not None},
        },
        "wall_s": {"teacher": 31.4, "student": 96.2},
    }


def _size(shape: list[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


def manifest(sha256: str) -> dict[str, Any]:
    """`export/manifest.json` as the export writes it."""
    layers, compared, activity = [], [], []
    for index, (name, kind, shape, synapses, weights, threshold, clipped, rate) in enumerate(LAYERS):
        neurons, readout = _size(shape), rate is None
        spikes = 0.0 if rate is None else rate * neurons * T
        layers.append(
            {
                "name": name,
                "kind": kind,
                "shape": shape,
                "neurons": neurons,
                "synapses": synapses,
                "weight_min": weights[0],
                "weight_max": weights[1],
                "threshold": threshold,
                "bias_min": -3120 + 17 * index,
                "bias_max": 2904,
                "decay_u": 4096,
                "decay_v": 0 if readout else 2048,
                "scale": 93.1,
                "clipped_fraction": clipped,
                "saturated": 0,
                "firing_rate": rate,
                "spikes_per_sample": spikes,
                "readout": readout,
            }
        )
        dense = synapses * T
        share = 0.62 if index == 0 else (LAYERS[index - 1][-1] or 0.0)
        activity.append(
            {
                "name": name,
                "effective_acs": 0.0 if index == 0 else share * dense,
                "effective_macs": share * dense if index == 0 else 0.0,
                "dense_operations": dense,
                "spikes": spikes,
                "firing_rate": rate,
                "neuron_updates": neurons * T,
            }
        )
        if not readout:
            compared.append({"name": name, "compared": neurons * T * LAVA_SAMPLES, "mismatches": 0})
    return {
        "format": 1,
        "created": "2026-01-02T03:06:00+00:00",
        "target": "loihi2",
        "network": "network.net",
        "sha256": sha256,
        "timesteps": T,
        "input": {"shape": [1, 8, 8], "kind": "graded", "constant": 255},
        "layers": layers,
        "waterfall": [
            {"stage": "teacher", "accuracy": 0.98611, "samples": SAMPLES, "note": None},
            {"stage": "float student", "accuracy": 0.97778, "samples": SAMPLES, "note": None},
            {"stage": "quantised", "accuracy": 0.975, "samples": SAMPLES, "note": "the integer simulator"},
            {"stage": "lava", "accuracy": 0.975, "samples": LAVA_SAMPLES, "note": None},
        ],
        "accuracy_per_step": [0.91389, 0.95278, 0.97222, 0.975],
        "verification": {
            "lava": {
                "status": "passed",
                "reason": None,
                "samples": LAVA_SAMPLES,
                "timesteps": T,
                "compared": sum(layer["compared"] for layer in compared) + 10 * T * LAVA_SAMPLES,
                "mismatches": 0,
                "layers": compared,
                "readout": {"compared": 10 * T * LAVA_SAMPLES, "mismatches": 0},
                "models": "stock netx and process models",
                "versions": {"lava-nc": "0.10.0", "lava-dl": "0.6.0"},
                "wall_s": 41.7,
            }
        },
        "activity": {
            "layers": activity,
            "static_input": True,
            "totals": {"macs_once": activity[0]["effective_macs"] / T},
        },
        "calibration": {"part": "training images", "samples": 512, "clip": 0.9, "agreement": {"0.9": 0.99}},
        "energy": [
            {
                "label": "45 nm, 32-bit float",
                "value": 412.0,
                "unit": "nJ",
                "low": 350.0,
                "high": 480.0,
                "kind": "estimated",
                "what": "student",
                "source": "AC 0.9 pJ, MAC 4.6 pJ; Horowitz, ISSCC 2014",
            },
            {
                "label": "45 nm, 8-bit integer",
                "value": 16.8,
                "unit": "nJ",
                "low": 12.1,
                "high": 22.0,
                "kind": "estimated",
                "what": "student",
                "source": "AC 0.03 pJ, MAC 0.23 pJ; Horowitz, ISSCC 2014",
            },
            {
                "label": "45 nm, 32-bit float",
                "value": 5.577,
                "unit": "uJ",
                "low": 4.9,
                "high": 6.2,
                "kind": "estimated",
                "what": "teacher",
                "source": "MAC 4.6 pJ; Horowitz, ISSCC 2014",
            },
        ],
    }


def metrics(epochs: int = 20) -> str:
    """`metrics.csv` as Lightning's CSVLogger writes it: one row for validation, one for training."""
    rows = ["epoch,step,train_ce,train_kl,train_loss,val_accuracy,val_loss"]
    for epoch in range(epochs):
        left = 0.78**epoch
        rows.append(
            f"{epoch},{21 * epoch + 20},,,,{0.979 - 0.62 * left + 0.004 * (epoch % 3):.5f},{0.08 + 1.9 * left:.5f}"
        )
        rows.append(f"{epoch},{21 * epoch + 20},{2.1 * left:.5f},{0.4 * left:.5f},{0.05 + 2.5 * left:.5f},,")
    return "\n".join(rows) + "\n"


RECIPE = """name: digits-kd
seed: 7
data:
  name: digits
model:
  name: small-cnn
timesteps: 4
method:
  name: kd
  kd_weight: 0.5
  temperature: 5.0
"""


def write_sample_run(folder: Path, edit_result: Edit | None = None, edit_manifest: Edit | None = None) -> Path:
    """Write a whole run into `folder`, with both documents open to a change before they are written."""
    network = b"\x89HDF\r\n\x1a\n not a real network, the report only hashes it"
    (folder / "export").mkdir(parents=True)
    (folder / "export" / "network.net").write_bytes(network)
    files = {
        "result.json": (result(), edit_result),
        "export/manifest.json": (manifest(hashlib.sha256(network).hexdigest()), edit_manifest),
    }
    for name, (value, edit) in files.items():
        if edit:
            edit(value)
        (folder / name).write_text(json.dumps(value, indent=2), encoding="utf-8")
    environment = {
        "created": "2026-01-02T03:02:00+00:00",
        "python": "3.11.9",
        "system": "Linux x86_64",
        "cpu_count": 8,
        "versions": {"neurokd": "0.1.0", "torch": "2.5.1", "lightning": "2.4.0", "norse": "1.1.0"},
    }
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    (folder / "metrics.csv").write_text(metrics(), encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a sample run, optionally edited: `make_run(edit_result=..., edit_manifest=...)`."""
    return lambda **edits: write_sample_run(tmp_path / "digits-kd-001", **edits)


@pytest.fixture
def sample_run(make_run: Callable[..., Path]) -> Path:
    """A complete run, exported and verified."""
    return make_run()
