"""The worked examples of the reference page are what the simulator computes."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
from neurokd.hardware.simulator import simulate

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "integer-semantics.md"
FOUND = re.findall(r"### (.+?)\n\n```yaml\n(.+?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
EXAMPLES = {title: yaml.safe_load(block) for title, block in FOUND}


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 7


@pytest.mark.parametrize("title", EXAMPLES)
def test_example(title: str) -> None:
    case: dict[str, Any] = EXAMPLES[title]
    neuron = Population(
        "neuron",
        (1,),
        threshold=np.array(case["threshold"]),
        decay_u=case["decay_u"],
        decay_v=case["decay_v"],
        bias=np.array([case["bias"]]) if "bias" in case else None,
    )
    synapse = Connection("input", "neuron", weight=np.array([[case["weight"]]]))
    network = LoihiNetwork(InputSpec((1,), "graded"), (neuron,), (synapse,), timesteps=len(case["input"]))
    trace = simulate(network, np.array(case["input"]).reshape(-1, 1, 1), state=True)
    assert trace.u["neuron"].ravel().tolist() == case["u"]
    assert trace.v["neuron"].ravel().tolist() == case["v"]
    assert trace.spikes["neuron"].ravel().tolist() == case["spikes"]
