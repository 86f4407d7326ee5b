"""A comparison finds every difference, says where the first one is, and never compares nothing."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.export.proof.verify import compare
from neurokd.hardware.trace import Trace

T, B = 3, 2


def trace(backend: str = "integer", **changes: Any) -> Trace:
    """Spikes of a convolution and a read-out, all different from zero somewhere."""
    rng = np.random.default_rng(0)
    spikes = {
        "conv": rng.integers(0, 2, (T, B, 2, 3, 4), dtype=np.uint8),
        "out": np.zeros((T, B, 5), dtype=np.uint8),
    }
    whole = Trace(backend, T, B, counts={}, spikes=spikes, readout=rng.integers(-99, 99, (T, B, 5)))
    return dataclasses.replace(whole, **changes)


def test_equal_traces() -> None:
    found = compare(trace(), trace("lava"))
    assert (found.mismatches, found.first) == (0, None)
    assert found.compared == T * B * (24 + 5 + 5)
    assert found.describe() == "integer and lava: 0 of 204 values differ"


@given(
    step=st.integers(0, T - 1),
    sample=st.integers(0, B - 1),
    c=st.integers(0, 1),
    y=st.integers(0, 2),
    x=st.integers(0, 3),
)
def test_a_flipped_spike_is_found_and_located(step: int, sample: int, c: int, y: int, x: int) -> None:
    other = trace("lava")
    spike = int(other.spikes["conv"][step, sample, c, y, x])
    other.spikes["conv"][step, sample, c, y, x] = 1 - spike
    found = compare(trace(), other)
    assert found.mismatches == found.populations["conv"].mismatches == 1
    assert found.first is not None
    assert vars(found.first) == {
        "population": "conv",
        "step": step,
        "sample": sample,
        "neuron": (c, y, x),
        "values": (spike, 1 - spike),
    }
    assert found.describe() == (
        f"integer and lava: 1 of 204 values differ; first: 'conv' at step {step}, sample {sample}, "
        f"neuron ({c}, {y}, {x}): {spike} and {1 - spike}"
    )


def test_a_readout_that_is_off_by_one_is_found() -> None:
    other = trace("lava")
    assert other.readout is not None
    other.readout[2, 1, 4] += 1
    found = compare(trace(), other)
    assert found.readout is not None
    assert (found.mismatches, found.readout.mismatches) == (1, 1)
    assert found.first is not None
    assert (found.first.population, found.first.step, found.first.neuron) == ("read-out", 2, (4,))


def test_the_first_difference_is_the_earliest_and_then_the_shallowest() -> None:
    other = trace("lava")
    other.spikes["out"][0, 1, 2] = 1
    other.spikes["conv"][1] = 1 - other.spikes["conv"][1]
    first = compare(trace(), other).first
    assert first is not None
    assert (first.population, first.step, first.sample, first.neuron) == ("out", 0, 1, (2,))
    other.spikes["conv"][0, 1, 1, 2, 3] ^= 1
    first = compare(trace(), other).first
    assert first is not None
    assert (first.population, first.step) == ("conv", 0)


def test_json_is_plain() -> None:
    other = trace("lava")
    other.spikes["conv"][0, 0, 0, 0, 0] ^= 1
    found = json.loads(json.dumps(compare(trace(), other).to_json()))
    assert (found["compared"], found["mismatches"], found["backends"]) == (204, 1, ["integer", "lava"])
    assert found["layers"] == [
        {"name": "conv", "compared": 144, "mismatches": 1},
        {"name": "out", "compared": 30, "mismatches": 0},
    ]
    assert found["readout"] == {"compared": 30, "mismatches": 0}
    assert found["first_difference"]["neuron"] == [0, 0, 0]
    assert compare(trace(), trace()).to_json()["first_difference"] is None


SPIKES = trace().spikes
INCOMPARABLE = {
    "a population is missing": (
        {"spikes": {"conv": SPIKES["conv"]}},
        r"populations \['out'\] are in one of them alone",
    ),
    "a population too many": ({"spikes": {**SPIKES, "x": SPIKES["out"]}}, r"populations \['x'\] are in one"),
    "another shape": ({"spikes": {**SPIKES, "out": SPIKES["out"][..., :1]}}, "'out' has shapes"),
    "no read-out": ({"readout": None}, "one of them has no read-out"),
    "other steps": ({"timesteps": T + 1}, "3 and 4 steps"),
    "other samples": ({"samples": B + 1}, "2 and 3 samples"),
}


@pytest.mark.parametrize(("changes", "message"), INCOMPARABLE.values(), ids=INCOMPARABLE.keys())
def test_traces_of_different_runs_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        compare(trace(), trace("lava", **changes))
    with pytest.raises(NeurokdError):
        compare(trace("lava", **changes), trace())


@pytest.mark.parametrize("spikes", [{}, {"conv": np.zeros((T, B, 0), dtype=np.uint8)}])
def test_comparing_nothing_is_refused(spikes: Any) -> None:
    with pytest.raises(NeurokdError, match="there are no spikes to compare"):
        compare(trace(spikes=spikes), trace(spikes=spikes))


def test_shapes_that_agree_with_each_other_alone_are_refused() -> None:
    wrong = {"conv": np.zeros((T + 1, B, 2), dtype=np.uint8)}
    with pytest.raises(NeurokdError, match="both must be"):
        compare(trace(spikes=wrong), trace(spikes=wrong))
