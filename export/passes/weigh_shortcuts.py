"""Give a shortcut of spikes the weights that it has not: `1 s` is a current, and neurons sum up currents."""

import math
from typing import Any

import nir
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.nir_graphs.graphs import free_name, with_nodes

MAX_DENSE = 4096  # beyond it a matrix of N x N is no shortcut any more


def weigh_shortcuts(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return a graph of the same function in which all that meets in a node comes from layers with weights.

    Where neurons with several sources read one that is no current, but spikes, their scaled value or an average of
    them, a layer of ones goes between: a 1x1 convolution of every channel with itself over maps, the identity
    matrix over a vector. It is called `NEURONS.shortcut`. Raises NeurokdError for a vector too long for a matrix.
    """
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[target].append(source)
    nodes, edges = dict(graph.nodes), []
    for source, target in graph.edges:
        if len(sources[target]) < 2 or _is_current(source, graph, sources) or not _sums(graph.nodes[target]):
            edges.append((source, target))
            continue
        name = free_name(f"{target}.shortcut", with_nodes(graph, nodes))
        nodes[name] = _ones(target, tuple(int(size) for size in graph.nodes[source].output_type["output"]))
        edges += [(source, name), (name, target)]
    return with_nodes(graph, nodes, edges)


def _sums(node: nir.NIRNode) -> bool:
    return isinstance(node, nir.LIF | nir.IF | nir.CubaLIF | nir.LI | nir.I | nir.CubaLI)


def _is_current(name: str, graph: nir.NIRGraph, sources: dict[str, list[str]]) -> bool:
    """Whether the node puts out the sums of a layer with weights."""
    seen: set[str] = set()
    while isinstance(graph.nodes[name], nir.Scale | nir.AvgPool2d | nir.Flatten) and sources[name]:
        if name in seen:  # a cycle, which has no currents and is refused elsewhere
            return True
        seen.add(name)
        name = sources[name][0]
    return isinstance(graph.nodes[name], nir.Conv2d | nir.Affine)


def _ones(target: str, shape: tuple[int, ...]) -> Any:
    size = math.prod(shape)
    layer: Any
    if len(shape) == 3:
        channels, *extent = shape
        weight = np.ones((channels, 1, 1, 1), np.float32)
        layer = nir.Conv2d((extent[0], extent[1]), weight, 1, 0, 1, channels, np.zeros(channels, np.float32))
    elif size > MAX_DENSE:
        raise NeurokdError(
            f"layer '{target}': a shortcut over a vector of {size}, allowed are {MAX_DENSE}; add feature maps instead"
        )
    else:
        layer = nir.Affine(np.eye(size, dtype=np.float32), np.zeros(size, np.float32))
    layer.input_type, layer.output_type = {"input": np.array(shape)}, {"output": np.array(shape)}
    return layer
