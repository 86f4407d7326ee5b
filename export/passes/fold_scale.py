"""Fold the value of a spike into the weights that read it, exactly: a chip's spike is 1.

`W (c S) + b = (c W) S + b`; average pooling and flattening are linear, so a scale moves through them. All layers
that read the spikes take the value, whichever way it comes to them.
"""

import copy
from typing import Any

import nir
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.nir_graphs.graphs import with_nodes
from neurokd.export.nir_graphs.wiring import listing, wiring_of


def fold_scale(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return a graph of the same function without `Scale`.

    Raises NeurokdError naming a scale with more than one value, or one after which no convolution or
    linear layer comes before the next neurons or the output.
    """
    wiring = wiring_of(graph)
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    pending: dict[str, tuple[float, str]] = {}  # by node: what its output is yet to be multiplied by, the last scale
    kept: dict[str, str] = {}  # the node that is left of a scale: the one before it
    for name in wiring.order:
        node, sources = graph.nodes[name], wiring.sources[name]
        factor = _common_factor(name, [pending.get(source, (1.0, "")) for source in sources])
        if isinstance(node, nir.Scale) and len(sources) > 1:
            raise NeurokdError(f"layer '{name}': scales the sum of {listing(sources)}; scale each of them")
        if isinstance(node, nir.Scale):
            source = sources[0]
            pending[name], kept[name] = (factor[0] * _value(name, node), name), kept.get(source, source)
            continue
        if factor[1]:
            if isinstance(node, nir.Conv2d | nir.Affine):
                node = _times(node, factor[0])
            elif isinstance(node, nir.AvgPool2d | nir.Flatten):
                pending[name] = factor
            else:
                raise NeurokdError(
                    f"layer '{factor[1]}': a scale before {type(node).__name__} '{name}' has no weights to go into; "
                    "put a convolution or linear layer between"
                )
        nodes[name] = node
        edges += [(kept.get(source, source), name) for source in sources]
    return with_nodes(graph, nodes, edges)


def _common_factor(name: str, factors: list[tuple[float, str]]) -> tuple[float, str]:
    """The one factor of all that a node reads, 1 for an input."""
    if len({value for value, _ in factors}) > 1:
        scales = listing([scale for _, scale in factors if scale])
        raise NeurokdError(
            f"layer '{name}': sums what is scaled by {scales} with other outputs; put a convolution or linear layer "
            "after every scale"
        )
    return max(factors, key=lambda factor: factor[1], default=(1.0, ""))


def _value(name: str, scale: nir.Scale) -> float:
    values = np.unique(np.asarray(scale.scale, np.float64))
    if values.size != 1:
        raise NeurokdError(
            f"layer '{name}': a scale with values from {values[0]:g} to {values[-1]:g}; use one value for a layer"
        )
    return float(values[0])


def _times(node: Any, factor: float) -> Any:
    scaled = copy.copy(node)
    scaled.weight = (node.weight.astype(np.float64) * factor).astype(node.weight.dtype)
    return scaled
