"""How a neuron of a NIR graph is reset: NIR itself knows only the hard reset, its metadata may say more."""

import copy
from typing import Any, Literal

import nir

_SOFT = ("soft", "subtract")


def reset_of(node: nir.NIRNode) -> Literal["hard", "soft"]:
    """ "soft" where a metadata entry named after the reset says soft or subtract, else NIR's own, "hard".

    >>> import numpy as np
    >>> neurons = nir.IF(np.ones(2), np.ones(2), metadata={"reset_mechanism": "subtract"})
    >>> reset_of(neurons)
    'soft'
    """
    for key, value in node.metadata.items():
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if "reset" in str(key).lower() and any(word in text.lower() for word in _SOFT):
            return "soft"
    return "hard"


def without_metadata(graph: nir.NIRGraph) -> nir.NIRGraph:
    """`graph` with nodes as NIR alone defines them; its own metadata stay."""
    nodes: dict[str, Any] = {name: copy.copy(node) for name, node in graph.nodes.items()}
    for node in nodes.values():
        node.metadata = {}
    return nir.NIRGraph(nodes, list(graph.edges), metadata=dict(graph.metadata), type_check=False)
