"""The semantics of the LIF neuron, case by case, as worked out by hand in tests/cases/lif.yaml."""

from typing import Any

import numpy as np
import pytest

from neurokd.export.network import Connection, InputSpec, LoihiNetwork
from neurokd.hardware.simulator import simulate

from ..networks import LIF_CASES, lif_neuron


def network(case: dict[str, Any]) -> LoihiNetwork:
    """One neuron behind a synapse of weight 1, so that graded inputs are its synaptic sums."""
    synapse = Connection("input", "neuron", np.array([[1]]))
    return LoihiNetwork(InputSpec((1,), "graded"), (lif_neuron(case),), (synapse,), timesteps=len(case["a"]))


@pytest.mark.parametrize("case", LIF_CASES, ids=[case["name"] for case in LIF_CASES])
def test_case(case: dict[str, Any]) -> None:
    inputs = np.array(case["a"]).reshape(-1, 1, 1)
    trace = simulate(network(case), inputs, state=True)
    assert trace.u["neuron"].ravel().tolist() == case["u"]
    assert trace.v["neuron"].ravel().tolist() == case["v"]
    assert trace.spikes["neuron"].ravel().tolist() == case["spikes"]
    assert trace.saturated["neuron"] == case.get("saturated", 0)


@pytest.mark.parametrize("case", LIF_CASES, ids=[case["name"] for case in LIF_CASES])
def test_case_without_recording_state(case: dict[str, Any]) -> None:
    """The shortcuts that are taken when nobody looks at u and v change nothing."""
    inputs = np.array(case["a"]).reshape(-1, 1, 1)
    trace = simulate(network(case), inputs)
    assert trace.spikes["neuron"].ravel().tolist() == case["spikes"]
    assert trace.saturated["neuron"] == case.get("saturated", 0)


@pytest.mark.parametrize("case", LIF_CASES, ids=[case["name"] for case in LIF_CASES])
def test_readout_is_v_shifted_right_with_the_sign(case: dict[str, Any]) -> None:
    from dataclasses import replace

    inputs = np.array(case["a"]).reshape(-1, 1, 1)
    trace = simulate(replace(network(case), readout="neuron"), inputs)
    assert trace.readout is not None
    assert trace.readout.ravel().tolist() == [v // 64 for v in case["v"]]
