"""The edges of a NIR graph: who reads whom, and an order in which all nodes can run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nir

from neurokd.errors import NeurokdError


@dataclass(frozen=True)
class Wiring:
    """`order` has sources before users; `sources` and `users` name the neighbours of every node."""

    order: tuple[str, ...]
    sources: Mapping[str, Sequence[str]]
    users: Mapping[str, Sequence[str]]


def wiring_of(graph: nir.NIRGraph) -> Wiring:
    """The wiring of a graph from one input to one output; a node with several sources reads their sum.

    Raises NeurokdError naming the nodes of a cycle, those that are not on a way from input to output, or the
    wrong number of inputs or outputs.
    """
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    users: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        users[source].append(target)
        sources[target].append(source)
    order = _in_order(sources, users)
    for kind in (nir.Input, nir.Output):
        ends = [name for name, node in graph.nodes.items() if isinstance(node, kind)]
        if len(ends) != 1:
            raise NeurokdError(f"graph: {len(ends)} {kind.__name__.lower()}s, allowed is one")
    lost = [
        name
        for name, node in graph.nodes.items()
        if (not sources[name] and not isinstance(node, nir.Input))
        or (not users[name] and not isinstance(node, nir.Output))
    ]
    if lost:
        raise NeurokdError(f"layers {sorted(lost)}: not on the way from input to output; connect or remove them")
    return Wiring(order, sources, users)


def read_by(graph: nir.NIRGraph, wiring: Wiring, name: str) -> list[str]:
    """The nodes whose sum the node `name` reads, seen through flattening."""
    found: list[str] = []
    for source in wiring.sources[name]:
        flat = isinstance(graph.nodes[source], nir.Flatten)
        found += read_by(graph, wiring, source) if flat else [source]
    return found


def listing(names: Sequence[str]) -> str:
    """Names for a message.

    >>> listing(["conv2", "shortcut"])
    "'conv2' and 'shortcut'"
    """
    return " and ".join(f"'{name}'" for name in names)


def _in_order(sources: Mapping[str, list[str]], users: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Kahn (1962); of several nodes that are ready, the one that became so first."""
    waiting = {name: len(before) for name, before in sources.items()}
    order = [name for name, count in waiting.items() if count == 0]
    for name in order:  # grows while it is walked
        for user in users[name]:
            waiting[user] -= 1
            if waiting[user] == 0:
                order.append(user)
    cycle = sorted(name for name, count in waiting.items() if count > 0)
    if cycle:
        raise NeurokdError(
            f"layers {cycle}: in a cycle or behind one; only networks without recurrence can be exported"
        )
    return tuple(order)
