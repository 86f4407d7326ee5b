"""Write a threshold as LIF neurons that forget everything in one step.

With `tau = dt` and `r = 1` an Euler step is `v + dt / tau (x - v) = x`: the membrane is the input of its own
step, whatever was there before, and both nodes spike where it is above the threshold (nir/ir/threshold.py).
"""

import nir
import numpy as np

from neurokd.export.nir_graphs.graphs import with_nodes


def threshold_to_lif(graph: nir.NIRGraph, dt: float) -> nir.NIRGraph:
    """Return a graph of the same function, at steps of `dt` seconds, without `Threshold`."""
    return with_nodes(graph, {name: _lif(node, dt) for name, node in graph.nodes.items()})


def _lif(node: nir.NIRNode, dt: float) -> nir.NIRNode:
    if not isinstance(node, nir.Threshold):
        return node
    threshold = np.asarray(node.threshold, np.float64)
    rest = np.zeros_like(threshold)
    return nir.LIF(np.full_like(threshold, dt), np.ones_like(threshold), rest, threshold, rest, metadata=node.metadata)
