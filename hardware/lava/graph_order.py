"""What the worker needs to build a network that is no chain from Lava's processes: axes as Lava orders them."""

from pathlib import Path
from typing import Any

import numpy as np

from neurokd.export.network import Connection, IntArray, LoihiNetwork, Population
from neurokd.export.validate import INPUT
from neurokd.hardware.lava.alignment import delay_of, lags_of


def write_graph_order(network: LoihiNetwork, arrays: Path) -> dict[str, Any]:
    """Put all weights, thresholds and biases into the npz file `arrays`; return the rest, as `graph_of` reads it.

    Sources are numbered as populations are, from 0; the input is -1.
    """
    lags, names = lags_of(network), [population.name for population in network.populations]
    connections = [connection.with_few_groups() for connection in network.connections]
    stored: dict[str, Any] = {}
    for index, population in enumerate(network.populations):
        stored[f"threshold-{index}"] = population.threshold.astype(np.int32)
        stored[f"bias-{index}"] = _bias(population).astype(np.int32)
    for index, connection in enumerate(connections):
        stored[f"weight-{index}"] = _weight(connection).astype(np.int32)
    np.savez(arrays, **stored)
    return {
        "populations": [
            {"shape": p.shape[::-1], "decay_u": p.decay_u, "decay_v": p.decay_v, "lag": lags[p.name]}
            for p in network.populations
        ],
        "connections": [
            {
                "source": -1 if c.source == INPUT else names.index(c.source),
                "target": names.index(c.target),
                "delay": delay_of(c, lags),
                "stride": c.stride[::-1],
                "padding": c.padding[::-1],
                "dilation": c.dilation[::-1],
                "groups": c.groups,
            }
            for c in connections
        ],
    }


def _bias(population: Population) -> IntArray:
    """One value per neuron, in Lava's order."""
    bias = np.asarray(0 if population.bias is None else population.bias)
    if bias.ndim == 1:
        bias = bias.reshape(-1, *[1] * (len(population.shape) - 1))
    spread: IntArray = np.broadcast_to(bias, population.shape).transpose()
    return spread


def _weight(connection: Connection) -> IntArray:
    """O, I, H, W to O, W, H, I, and turned: Lava convolves, torch correlates. A dense matrix stays."""
    weight = connection.weight
    return weight if weight.ndim == 2 else weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
