"""NIR graphs with other nodes, for passes that rewrite some of them."""

import itertools
from collections.abc import Mapping, Sequence

import nir


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
