"""The semantics of the LIF neuron, case by case, as worked out by hand in tests/cases/lif.yaml."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
from neurokd.hardware.simulator import simulate

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "lif.yaml").read_text(encoding="utf-8")
)


def network(case: dict[str, Any]) -> LoihiNetwork:
    """One neuron behind a synapse of weight 1, so that graded inputs are its synaptic sums."""
    neuron = Population(
        "neuron",
        (1,),
        threshold=np.array(case.get("threshold", 131072)),
        decay_u=case.get("decay_u", 4096),
        decay_v=case.get("decay_v", 4096),
        bias=np.array([case["bias"]]) if "bias" in case else None,
    )
    synapse = Connection("input", "neuron", np.array([[1]]))
    return LoihiNetwork(InputSpec((1,), "graded"), (neuron,), (synapse,), timesteps=len(case["a"]))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    inputs = np.array(case["a"]).reshape(-1, 1, 1)
    trace = simulate(network(case), inputs, state=True)
    assert trace.u["neuron"].ravel().tolist() == case["u"]
    assert trace.v["neuron"].ravel().tolist() == case["v"]
    assert trace.spikes["neuron"].ravel().tolist() == case["spikes"]
    assert trace.saturated["neuron"] == case.get("saturated", 0)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case_without_recording_state(case: dict[str, Any]) -> None:
    """The shortcuts that are taken when nobody looks at u and v change nothing."""
    inputs = np.array(case["a"]).reshape(-1, 1, 1)
    trace = simulate(network(case), inputs)
    assert trace.spikes["neuron"].ravel().tolist() == case["spikes"]
    assert trace.saturated["neuron"] == case.get("saturated", 0)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_readout_is_v_shifted_right_with_the_sign(case: dict[str, Any]) -> None:
    from dataclasses import replace

    inputs = np.array(case["a"]).reshape(-1, 1, 1)
    trace = simulate(replace(network(case), readout="neuron"), inputs)
    assert trace.readout is not None
    assert trace.readout.ravel().tolist() == [v // 64 for v in case["v"]]
