"""What the tests of several rooms build networks from."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.export.limits import check_limits
from neurokd.export.network import LoihiNetwork, Population
from neurokd.export.network_files.network_file import read_network, write_network

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


def same(a: LoihiNetwork, b: LoihiNetwork) -> None:
    """Assert equality of everything, arrays by value and shape."""
    assert (a.input, a.timesteps, a.readout, a.logit_scale, a.labels, a.metadata) == (
        (b.input, b.timesteps, b.readout, b.logit_scale, b.labels, b.metadata)
    )
    for ours, theirs in zip((*a.populations, *a.connections), (*b.populations, *b.connections), strict=True):
        for key, value in vars(ours).items():
            other = getattr(theirs, key)
            if isinstance(value, np.ndarray):
                single = key in ("threshold", "initial") and value.size == 1  # one channel: () and (1,) are the same
                assert single or value.shape == other.shape, key
                assert np.array_equal(np.squeeze(value), np.squeeze(other)), key
            else:
                assert value == other, key


def read_damaged(network: LoihiNetwork, folder: Path, data: st.DataObject) -> None:
    """Write `network`, cut its file short or change some bytes, and read it: a network, or an error with its path."""
    whole, damaged = folder / "whole.net", folder / "damaged.net"
    if not whole.exists():
        write_network(network, whole)
    content = bytearray(whole.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged.write_bytes(content)
    try:
        found = read_network(damaged)
    except NeurokdError as error:
        assert str(damaged) in str(error)
    else:
        assert found.populations
