"""What the tests of several rooms build networks from."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from neurokd.export.limits import check_limits
from neurokd.export.network import LoihiNetwork, Population

LIF_CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "cases" / "lif.yaml").read_text(encoding="utf-8")
)


def lif_neuron(case: dict[str, Any]) -> Population:
    """The neuron of one of `LIF_CASES`, shape (1,)."""
    return Population(
        "neuron",
        (1,),
        threshold=np.array(case.get("threshold", 131072)),
        decay_u=case.get("decay_u", 4096),
        decay_v=case.get("decay_v", 4096),
        bias=np.array([case["bias"]]) if "bias" in case else None,
        reset=case.get("reset", "hard"),
        initial=np.array(case.get("initial", 0)),
    )


def within_24_bits(network: LoihiNetwork) -> LoihiNetwork:
    """The network without the synaptic memory of those populations whose u it could drive over its width."""
    over = check_limits(network)
    held = [
        dataclasses.replace(one, decay_u=4096)
        if any(f"population '{one.name}': the current" in text for text in over)
        else one
        for one in network.populations
    ]
    return dataclasses.replace(network, populations=tuple(held))
