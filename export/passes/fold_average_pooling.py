"""Fold average pooling into the convolution or dense layer after it, exactly.

A mean over P x P followed by a convolution with kernel K, stride S, padding Q, dilation D reads the
unpooled map with stride S P and padding Q P; the weight of tap k repeats, divided by P^2, at the P x P
positions that start at k D P. A dense layer repeats its weights over the pooled positions. Every layer that
reads the pooled map takes the pool into its own weights.
"""

from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from neurokd.errors import NeurokdError
from neurokd.export.nir_graphs.graphs import with_nodes
from neurokd.export.nir_graphs.wiring import listing, wiring_of

FloatArray = npt.NDArray[np.floating[Any]]


def fold_average_pooling(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return a graph of the same function without `AvgPool2d`.

    Raises NeurokdError for pooling whose windows overlap or drop pixels, or which no convolution
    or dense layer follows.
    """
    wiring = wiring_of(graph)
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    pending: dict[str, list[tuple[str, nir.AvgPool2d]]] = {}  # by node: the pools that its output is yet to pass
    kept: dict[str, str] = {}  # the node that is left of a pool: the one before it
    for name in wiring.order:
        node, sources = graph.nodes[name], wiring.sources[name]
        pools = [pool for source in sources for pool in pending.get(source, [])]
        if len(sources) > 1 and (pools or isinstance(node, nir.AvgPool2d)):
            raise NeurokdError(f"layer '{name}': pools the sum of {listing(sources)}; pool after the neurons")
        if isinstance(node, nir.AvgPool2d):
            pending[name] = [*pools, (name, _check(name, node))]
            kept[name] = kept.get(sources[0], sources[0])
            continue
        for pool_name, pool in reversed(pools):
            node = _fold(pool_name, pool, node)
        if pools and isinstance(node, nir.Flatten):
            pending[name] = pools
        nodes[name] = node
        edges += [(kept.get(source, source), name) for source in sources]
    return with_nodes(graph, nodes, edges)


def _check(name: str, pool: nir.AvgPool2d) -> nir.AvgPool2d:
    kernel, stride = tuple(map(int, pool.kernel_size)), tuple(map(int, pool.stride))
    if kernel != stride or np.any(np.asarray(pool.padding)):
        raise NeurokdError(f"layer '{name}': average pooling {kernel} with stride {stride}; use equal ones, no padding")
    size = tuple(map(int, pool.input_type["input"][1:]))
    if any(extent % k for extent, k in zip(size, kernel, strict=True)):
        raise NeurokdError(
            f"layer '{name}': pooling {kernel} drops pixels of a {size} map; use a kernel that divides it"
        )
    return pool


def _fold(name: str, pool: nir.AvgPool2d, node: Any) -> Any:
    kernel = (int(pool.kernel_size[0]), int(pool.kernel_size[1]))
    before = pool.input_type["input"]
    if isinstance(node, nir.Conv2d):
        folded = _fold_conv(kernel, node)
    elif isinstance(node, nir.Flatten):
        return nir.Flatten({"input": before}, start_dim=0)
    elif isinstance(node, nir.Affine):
        folded = nir.Affine(_spread(node.weight, kernel, pool.output_type["output"]), node.bias)
        before = np.array([folded.weight.shape[1]])
    else:
        raise NeurokdError(
            f"layer '{name}': average pooling before {type(node).__name__}; it can be folded only into a "
            "convolution or dense layer, so place it after the neurons"
        )
    folded.input_type, folded.output_type = {"input": before}, node.output_type
    return folded


def _fold_conv(pool: tuple[int, int], conv: nir.Conv2d) -> nir.Conv2d:
    weight = conv.weight
    out, inputs, *kernel = weight.shape
    dilation = tuple(int(d) for d in np.broadcast_to(conv.dilation, 2))
    size = [(k - 1) * d * p + p for k, d, p in zip(kernel, dilation, pool, strict=True)]
    wide = np.zeros((out, inputs, *size), weight.dtype)
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * dilation[0] * pool[0], column * dilation[1] * pool[1]
            tap = weight[:, :, row, column, None, None] / (pool[0] * pool[1])
            wide[:, :, top : top + pool[0], left : left + pool[1]] = tap
    stride, padding = np.broadcast_to(conv.stride, 2), np.broadcast_to(conv.padding, 2)
    shape = (int(conv.input_shape[0]) * pool[0], int(conv.input_shape[1]) * pool[1])
    return nir.Conv2d(
        shape, wide, _times(stride, pool), _times(padding, pool), (1, 1), conv.groups, conv.bias
    )  # fmt: skip


def _times(values: Any, pool: tuple[int, int]) -> tuple[int, int]:
    return int(values[0]) * pool[0], int(values[1]) * pool[1]


def _spread(weight: FloatArray, pool: tuple[int, int], pooled: Any) -> FloatArray:
    """Dense weight `[O, C * H * W]` over the pooled map to one over the unpooled map."""
    channels, height, width = (int(size) for size in pooled)
    maps = weight.reshape(weight.shape[0], channels, height, width)
    wide = maps.repeat(pool[0], axis=2).repeat(pool[1], axis=3) / (pool[0] * pool[1])
    return wide.reshape(weight.shape[0], -1)
