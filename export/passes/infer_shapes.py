"""Give every node of a NIR graph its input and output shape, as torch defines them."""

import copy

import nir
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.contract.layers_of_nir import layers_of_nir


def infer_shapes(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return `graph` with `input_type` and `output_type` on every node, and `input_shape` on every convolution.

    A graph read from a file has them only in part, and NIR's own inference takes kernels for square.
    Raises NeurokdError naming the first node whose shape does not follow from the input's.
    """
    nodes = {}
    for layer in layers_of_nir(graph):
        before = layer.shape if layer.role == "input" else layer.input_shape
        if before is None or layer.shape is None:
            raise NeurokdError(f"layer '{layer.path}': its shape does not follow from the layers before it")
        node = copy.copy(layer.op)
        node.input_type, node.output_type = {"input": np.array(before)}, {"output": np.array(layer.shape)}
        if isinstance(node, nir.Conv2d):
            node.input_shape = (before[1], before[2])
        nodes[layer.path] = node
    return nir.NIRGraph(nodes=nodes, edges=list(graph.edges), metadata=dict(graph.metadata), type_check=False)
