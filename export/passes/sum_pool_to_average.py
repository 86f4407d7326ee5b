"""Write sum pooling as average pooling and a scale: the sum of n values is n times their mean."""

import math

import nir
import numpy as np

from neurokd.export.nir_graphs.graphs import free_name, with_nodes


def sum_pool_to_average(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return a graph of the same function without `SumPool2d`: pool `p` becomes `p` and the scale `p.area`."""
    nodes: dict[str, nir.NIRNode] = {}
    edges = list(graph.edges)
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.SumPool2d):
            nodes[name] = node
            continue
        kernel, stride, padding = (np.broadcast_to(v, 2) for v in (node.kernel_size, node.stride, node.padding))
        area = free_name(f"{name}.area", graph)
        nodes[name] = nir.AvgPool2d(kernel, stride, padding)
        nodes[area] = nir.Scale(np.array([float(math.prod(kernel.tolist()))]))
        edges = [(area if source == name else source, target) for source, target in edges] + [(name, area)]
    return with_nodes(graph, nodes, edges)
