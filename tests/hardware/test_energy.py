"""Energy estimates: the formula, the range, and where each constant comes from."""

import pytest

from neurokd.errors import NeurokdError
from neurokd.hardware.activity import Activity, LayerActivity
from neurokd.hardware.energy import ann_energy, constants, estimate_energy, operations_energy, spiking_energy
from neurokd.hardware.measurement import Measurement


def work(macs: float, acs: float) -> Activity:
    """One layer with these operations, over 4 steps of a static image."""
    layer = LayerActivity("a", 10, 100, macs, acs, 400, 0.0, 3.0, 0.075, 40)
    return Activity((layer,), timesteps=4, samples=1, static_input=True)


def test_fp32_is_the_published_formula() -> None:
    found = operations_energy(1000, 10_000)
    assert found.value == pytest.approx(4.6 * 1000 + 0.9 * 10_000)
    assert (found.low, found.high, found.unit, found.kind) == (found.value, found.value, "pJ", "estimated")


def test_int8_multiplies_in_8_and_accumulates_in_32_bits() -> None:
    found = operations_energy(1000, 10_000, "int8")
    assert found.value == pytest.approx(0.3 * 1000 + 0.1 * 10_000)
    assert found.low == pytest.approx(0.23 * 1000 + 0.03 * 10_000)


def test_a_static_first_layer_is_multiplied_once_or_at_every_step() -> None:
    assert spiking_energy(work(400, 0)).value == pytest.approx(460)
    assert spiking_energy(work(400, 0), first_layer_once=False).value == pytest.approx(1840)


def test_report_entries_name_student_and_teacher() -> None:
    entries = estimate_energy(work(400, 1000), ann_macs=5000)
    assert [(entry["label"], entry["what"]) for entry in entries] == [
        ("45 nm, 32-bit float", "student"),
        ("45 nm, 32-bit float", "teacher"),
        ("45 nm, 8-bit integer", "student"),
        ("45 nm, 8-bit integer", "teacher"),
    ]
    assert all(entry["low"] <= entry["value"] <= entry["high"] and "Horowitz" in entry["source"] for entry in entries)
    assert entries[1]["value"] == ann_energy(5000).value == pytest.approx(4.6 * 5000)
    assert {entry["what"] for entry in estimate_energy(work(1, 1))} == {"student"}


def test_every_constant_has_unit_source_and_confidence() -> None:
    for constant in constants().values():
        assert constant.low <= constant.value <= constant.high
        assert constant.unit == "pJ"
        assert len(constant.source) > 40
        assert constant.confidence in ("direct", "derived")


def test_wrong_usage_is_refused() -> None:
    with pytest.raises(NeurokdError, match="arithmetic 'fp16' has no energy, allowed are"):
        operations_energy(1, 1, "fp16")  # type: ignore[arg-type]
    with pytest.raises(NeurokdError, match="allowed are counts from 0 on"):
        operations_energy(-1, 1)
    with pytest.raises(NeurokdError, match="energy model 'loihi9' is unknown"):
        constants("loihi9")
    with pytest.raises(NeurokdError, match="outside"):
        Measurement(2, "pJ", 3, 4, "nothing", "estimated")
