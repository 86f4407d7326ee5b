"""A NIR graph seen as a chain, the only form that netx can hold."""

import itertools
from typing import Any

import nir

from neurokd.errors import NeurokdError

Chain = list[tuple[str, Any]]  # NIR's nodes have no common typed fields


def chain_of(graph: nir.NIRGraph) -> Chain:
    """The nodes from input to output; NeurokdError naming the node where the graph branches or ends."""
    after: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        after[source].append(target)
    starts = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(starts) != 1:
        raise NeurokdError(f"graph: {len(starts)} inputs, allowed is one")
    name = starts[0]
    nodes: Chain = [(name, graph.nodes[name])]
    while not isinstance(graph.nodes[name], nir.Output):
        if len(after[name]) != 1:
            raise NeurokdError(
                f"layer '{name}': feeds {after[name] or 'nothing'}; only chains of layers can be exported"
            )
        name = after[name][0]
        if any(name == seen for seen, _ in nodes):
            raise NeurokdError(f"layer '{name}': part of a cycle; only chains of layers can be exported")
        nodes.append((name, graph.nodes[name]))
    unused = sorted(set(graph.nodes) - {seen for seen, _ in nodes})
    if unused:
        raise NeurokdError(f"layers {unused}: not on the way from input to output; only chains can be exported")
    return nodes


def graph_of(nodes: Chain, metadata: dict[str, Any]) -> nir.NIRGraph:
    """The NIR graph of a chain."""
    names = [name for name, _ in nodes]
    return nir.NIRGraph(
        nodes=dict(nodes), edges=list(itertools.pairwise(names)), metadata=dict(metadata), type_check=False
    )
