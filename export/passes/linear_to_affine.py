"""Give linear layers a bias of zeros, so that all dense layers are alike: `W x = W x + 0`."""

import nir
import numpy as np

from neurokd.export.nir_graphs.graphs import with_nodes


def linear_to_affine(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return a graph of the same function in which every `Linear` is an `Affine`."""
    return with_nodes(graph, {name: _affine(node) for name, node in graph.nodes.items()})


def _affine(node: nir.NIRNode) -> nir.NIRNode:
    if not isinstance(node, nir.Linear):
        return node
    return nir.Affine(node.weight, np.zeros(np.shape(node.weight)[:-1], np.float32), metadata=node.metadata)
