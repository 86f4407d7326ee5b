"""Energy by counting operations: an estimate for comparing models, never a claim about a chip."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from neurokd.errors import NeurokdError
from neurokd.hardware.activity import Activity
from neurokd.hardware.measurement import Measurement

Arithmetic = Literal["fp32", "int8"]
DEVICES = Path(__file__).with_name("devices.yaml")
MODEL = "operations_45nm"
LABELS: dict[Arithmetic, str] = {"fp32": "45 nm, 32-bit float", "int8": "45 nm, 8-bit integer"}


@dataclass(frozen=True)
class Constant:
    """One figure of `devices.yaml`; `confidence` says how well its source is known (see there)."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    source: str
    confidence: str


@functools.cache
def constants(model: str = MODEL) -> dict[str, Constant]:
    """The constants of one model in `devices.yaml`, by name."""
    models = yaml.safe_load(DEVICES.read_text(encoding="utf-8"))
    if model not in models:
        raise NeurokdError(f"energy model '{model}' is unknown, allowed are {sorted(models)}")
    return {
        name: Constant(
            name=name,
            value=float(entry["value"]),
            unit=str(entry["unit"]),
            low=float(entry.get("low", entry["value"])),
            high=float(entry.get("high", entry["value"])),
            source=" ".join(str(entry["source"]).split()),
            confidence=str(entry["confidence"]),
        )
        for name, entry in models[model].items()
    }


def operations_energy(macs: float, acs: float, arithmetic: Arithmetic = "fp32") -> Measurement:
    """Energy of `macs` multiply-accumulates and `acs` accumulates, in pJ.

    `energy_pj = e_mac * macs + e_ac * acs`; in fp32 that is `4.6 * macs + 0.9 * acs`, the formula
    by which spiking networks are usually compared. "int8" multiplies in 8 and accumulates in 32 bits.

    >>> round(operations_energy(macs=10, acs=100).value, 6)
    136.0
    """
    table = constants()
    if f"mac_{arithmetic}" not in table:
        allowed = sorted(name.removeprefix("mac_") for name in table if name.startswith("mac_"))
        raise NeurokdError(f"arithmetic '{arithmetic}' has no energy, allowed are {allowed}")
    if macs < 0 or acs < 0:
        raise NeurokdError(f"operations: {macs} MACs and {acs} ACs, allowed are counts from 0 on")
    mac, ac = table[f"mac_{arithmetic}"], table[f"ac_{arithmetic}"]
    return Measurement(
        value=mac.value * macs + ac.value * acs,
        unit="pJ",
        low=mac.low * macs + ac.low * acs,
        high=mac.high * macs + ac.high * acs,
        source=f"{arithmetic} operation count, {mac.value} pJ per MAC ({mac.source}), "
        f"{ac.value} pJ per AC ({ac.source}); arithmetic alone, no memory",
        kind="estimated",
    )


def spiking_energy(
    activity: Activity, arithmetic: Arithmetic = "fp32", *, first_layer_once: bool = True
) -> Measurement:
    """Energy of a spiking network per sample, in pJ.

    `first_layer_once` counts the product of a static image once, as published comparisons do,
    instead of at every step.
    """
    macs = activity.macs_once if first_layer_once else activity.macs
    return operations_energy(macs, activity.acs, arithmetic)


def ann_energy(macs: float, arithmetic: Arithmetic = "fp32") -> Measurement:
    """Energy of a conventional network of `macs` multiply-accumulates per sample, in pJ."""
    return operations_energy(macs, 0, arithmetic)


def estimate_energy(activity: Activity, ann_macs: float | None = None) -> list[dict[str, Any]]:
    """Every estimate for a report, per sample: the student, and its teacher where `ann_macs` is given.

    Each entry is a `Measurement` with a `label` (the model) and `what` ("student" or "teacher").
    """
    entries: list[dict[str, Any]] = []
    for arithmetic, label in LABELS.items():
        estimates = {"student": spiking_energy(activity, arithmetic)}
        if ann_macs is not None:
            estimates["teacher"] = ann_energy(ann_macs, arithmetic)
        entries += [{"label": label, "what": what, **found.to_json()} for what, found in estimates.items()]
    return entries
