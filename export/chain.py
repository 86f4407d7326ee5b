"""A NIR graph seen as a chain, the only form that netx can hold."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import nir

from neurokd.errors import NeurokdError

Chain = list[tuple[str, Any]]  # NIR's nodes have no common typed fields


def chain_of(graph: nir.NIRGraph) -> Chain:
    """The nodes from input to output; NeurokdError naming the node where the graph branches, joins or ends."""
    before: dict[str, list[str]] = {name: [] for name in graph.nodes}
    after: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        after[source].append(target)
        before[target].append(source)
    for name, sources in before.items():
        if len(sources) > 1:
            raise NeurokdError(
                f"layer '{name}': reads {' and '.join(map(repr, sources))}; only chains of layers can be exported, "
                "so remove the shortcut or recurrent connection"
            )
    starts = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(starts) != 1:
        raise NeurokdError(f"graph: {len(starts)} inputs, allowed is one")
    name = starts[0]
    nodes: Chain = [(name, graph.nodes[name])]
    seen = {name}
    while not isinstance(graph.nodes[name], nir.Output):
        if len(after[name]) != 1:
            raise NeurokdError(
                f"layer '{name}': feeds {after[name] or 'nothing'}; only chains of layers can be exported"
            )
        name = after[name][0]
        if name in seen:
            raise NeurokdError(f"layer '{name}': part of a cycle; only chains of layers can be exported")
        seen.add(name)
        nodes.append((name, graph.nodes[name]))
    unused = sorted(set(graph.nodes) - seen)
    if unused:
        raise NeurokdError(f"layers {unused}: not on the way from input to output; only chains can be exported")
    return nodes


def graph_of(nodes: Chain, metadata: dict[str, Any]) -> nir.NIRGraph:
    """The NIR graph of a chain."""
    names = [name for name, _ in nodes]
    return nir.NIRGraph(
        nodes=dict(nodes), edges=list(itertools.pairwise(names)), metadata=dict(metadata), type_check=False
    )


def with_nodes(
    graph: nir.NIRGraph, nodes: Mapping[str, nir.NIRNode], edges: Sequence[tuple[str, str]] | None = None
) -> nir.NIRGraph:
    """A graph of any form with other nodes and, where given, other edges; its metadata stay."""
    edges = graph.edges if edges is None else edges
    return nir.NIRGraph(dict(nodes), list(edges), metadata=dict(graph.metadata), type_check=False)


def free_name(wanted: str, graph: nir.NIRGraph) -> str:
    """`wanted`, or with a number where a node has this name."""
    numbered = (f"{wanted}_{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([wanted], numbered) if name not in graph.nodes)
