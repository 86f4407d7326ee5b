"""Let a read-out count the spikes of a network that ends in neurons: `1 s[1] + .. + 1 s[t]` is their number."""

import nir
import numpy as np

from neurokd.export.contract.layers_of_nir import layers_of_nir
from neurokd.export.nir_graphs.euler import Spiking
from neurokd.export.nir_graphs.graphs import free_name, with_nodes

MAX_CLASSES = 4096  # beyond it a matrix of N x N ones is no read-out any more


def count_spikes(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return `graph` with a layer of weights 1, `NAME.counts`, after neurons `[N]` at its end.

    The summed logits are then the spikes of every class so far, by which such networks are read. Another
    graph is returned as it is.
    """
    last = [layer for layer in layers_of_nir(graph) if isinstance(layer.op, Spiking) and len(layer.users) == 1]
    last = [layer for layer in last if layer.users[0].role == "output"]
    if len(last) != 1 or last[0].shape is None or len(last[0].shape) != 1 or last[0].shape[0] > MAX_CLASSES:
        return graph
    name, output, (size,) = last[0].path, last[0].users[0].path, last[0].shape
    counts = free_name(f"{name}.counts", graph)
    affine = nir.Affine(np.eye(size, dtype=np.float32), np.zeros(size, np.float32))
    edges = [(source, counts if (source, target) == (name, output) else target) for source, target in graph.edges]
    return with_nodes(graph, {**graph.nodes, counts: affine}, [*edges, (counts, output)])
