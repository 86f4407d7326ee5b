"""Write a chain over signals `(C, L)` as one over images `(C, 1, L)`: a kernel of height 1 sums the same products."""

import copy
from typing import Any

import nir
import numpy as np

from neurokd.export.nir_graphs.graphs import with_nodes


def conv1d_to_conv2d(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return a graph of the same function without `Conv1d`; a graph that has none is returned as it is.

    Shapes `(C, L)` become `(C, 1, L)`: of the inputs and outputs, of parameters of neurons and of scales.
    """
    if not any(isinstance(node, nir.Conv1d) for node in graph.nodes.values()):
        return graph
    return with_nodes(graph, {name: _lifted(node) for name, node in graph.nodes.items()})


def _lifted(node: Any) -> Any:
    if isinstance(node, nir.Conv1d):
        padding = node.padding if isinstance(node.padding, str) else (0, _one(node.padding))
        shape = None if node.input_shape is None else (1, _one(node.input_shape))
        stride, dilation = (1, _one(node.stride)), (1, _one(node.dilation))
        weight = np.asarray(node.weight)[:, :, np.newaxis]
        return nir.Conv2d(shape, weight, stride, padding, dilation, node.groups, node.bias, metadata=node.metadata)
    lifted = copy.copy(node)
    for key, value in vars(node).items():
        if isinstance(value, np.ndarray) and value.ndim == 2 and not isinstance(node, nir.Affine | nir.Linear):
            setattr(lifted, key, value[:, np.newaxis])
        elif key in ("input_type", "output_type"):
            setattr(lifted, key, {port: _with_height(shape) for port, shape in (value or {}).items()})
    if isinstance(lifted, nir.Flatten) and lifted.end_dim == 1:  # the last axis, which is now one further
        lifted.end_dim = -1
    return lifted


def _with_height(shape: Any) -> Any:
    return shape if shape is None or len(shape) != 2 else np.insert(np.asarray(shape), 1, 1)


def _one(value: Any) -> int:
    (number,) = np.atleast_1d(value)
    return int(number)
