"""Fold the value of a spike into the weights that read it, exactly: a chip's spike is 1.

`W (c S) + b = (c W) S + b`; average pooling and flattening are linear, so a scale moves through them.
"""

import copy
from typing import Any

import nir
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.chain import Chain, chain_of, graph_of


def fold_scale(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return a graph of the same function without `Scale`.

    Raises NeurokdError naming a scale with more than one value, or one after which no convolution or
    linear layer comes before the next neurons or the output.
    """
    result: Chain = []
    factor, scale = 1.0, ""
    for name, node in chain_of(graph):
        if isinstance(node, nir.Scale):
            factor, scale = factor * _value(name, node), name
            continue
        if isinstance(node, nir.Conv2d | nir.Affine) and scale:
            node, factor, scale = _times(node, factor), 1.0, ""
        elif scale and not isinstance(node, nir.AvgPool2d | nir.Flatten):
            raise NeurokdError(
                f"layer '{scale}': a scale before {type(node).__name__} '{name}' has no weights to go into; "
                "put a convolution or linear layer between"
            )
        result.append((name, node))
    return graph_of(result, graph.metadata)


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
