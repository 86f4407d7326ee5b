"""Give a flat input the shape of the images that it is read from: flattening them gives the same vector."""

import math

import nir
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.nir_graphs.graphs import free_name, with_nodes


def shape_input(graph: nir.NIRGraph, shape: tuple[int, ...] | None) -> nir.NIRGraph:
    """Return `graph` with an input of `shape`, `(C, H, W)`, flattened in that order where the graph has a vector.

    Without a `shape` a vector of N values becomes an image `(N, 1, 1)`, and another input stays as it is. A first
    axis of 1 before a vector or an image is a batch and goes; `Conv1d` must be gone already (`conv1d_to_conv2d`).
    Raises NeurokdError for an image that the input cannot be.
    """
    inputs = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(inputs) != 1:
        return graph
    name = inputs[0]
    found = tuple(int(size) for size in graph.nodes[name].input_type["input"])
    if len(found) in (2, 4) and found[0] == 1:  # some frameworks keep a batch of one
        found = found[1:]
        graph = with_nodes(graph, {**graph.nodes, name: nir.Input(np.array(found))})
    wanted = shape or (found if len(found) == 3 else (*found, 1, 1))
    if found == wanted:
        return graph
    if len(found) not in (1, 3):
        raise NeurokdError(
            f"layer '{name}': an input of shape {found}, allowed is a vector (N,) or an image (C, H, W), without axes "
            "of time or batch; with sinabs export the layers called Squeeze"
        )
    if len(found) != 1 or found[0] != math.prod(wanted):
        raise NeurokdError(f"layer '{name}': an input of shape {found}, the data are {wanted}; use data that fit")
    flat = free_name(f"{name}.flat", graph)
    edges = [(flat if source == name else source, target) for source, target in graph.edges]
    image, flatten = nir.Input(np.array(wanted)), nir.Flatten({"input": np.array(wanted)}, start_dim=0)
    return with_nodes(graph, {**graph.nodes, name: image, flat: flatten}, [(name, flat), *edges])
