"""Put the nodes of graphs within a graph beside the others, since an edge is the identity wherever it runs."""

import itertools

import nir

from neurokd.errors import NeurokdError


def flatten_subgraphs(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return a graph of the same function in which no node is a graph.

    Node `b` of the graph that is node `a` becomes `a.b`; its inputs and outputs vanish, and what they connected
    is connected directly. Raises NeurokdError where a new name is taken.
    """
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    ends: list[str] = []
    _collect(graph, "", nodes, edges, ends)
    for end in ends:
        before = [source for source, target in edges if target == end]
        after = [target for source, target in edges if source == end]
        edges = [edge for edge in edges if end not in edge] + list(itertools.product(before, after))
        del nodes[end]
    return nir.NIRGraph(nodes, edges, metadata=dict(graph.metadata), type_check=False)


def _collect(
    graph: nir.NIRGraph, prefix: str, nodes: dict[str, nir.NIRNode], edges: list[tuple[str, str]], ends: list[str]
) -> None:
    """Add everything below `graph`; edges into a graph lead to its inputs, edges out of it leave its outputs."""
    entries: dict[str, list[str]] = {}
    exits: dict[str, list[str]] = {}
    for key, node in graph.nodes.items():
        name = prefix + key
        if isinstance(node, nir.NIRGraph):
            _collect(node, f"{name}.", nodes, edges, ends)
            entries[key] = [f"{name}.{inner}" for inner, end in node.nodes.items() if isinstance(end, nir.Input)]
            exits[key] = [f"{name}.{inner}" for inner, end in node.nodes.items() if isinstance(end, nir.Output)]
            continue
        if name in nodes:
            raise NeurokdError(f"layer '{name}': the name is taken once graphs within graphs are flattened; rename it")
        nodes[name] = node
        entries[key] = exits[key] = [name]
        if prefix and isinstance(node, nir.Input | nir.Output):
            ends.append(name)
    for source, target in graph.edges:
        edges += itertools.product(exits[source], entries[target])
