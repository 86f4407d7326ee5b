"""NIR as other frameworks write it becomes NIR as the export takes it, each rewrite exact."""

import math

import nir

from neurokd.export.passes.conv1d_to_conv2d import conv1d_to_conv2d
from neurokd.export.passes.count_spikes import count_spikes
from neurokd.export.passes.flatten_subgraphs import flatten_subgraphs
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.export.passes.infer_shapes import infer_shapes
from neurokd.export.passes.linear_to_affine import linear_to_affine
from neurokd.export.passes.shape_input import shape_input
from neurokd.export.passes.sum_pool_to_average import sum_pool_to_average
from neurokd.export.passes.threshold_to_lif import threshold_to_lif
from neurokd.export.passes.weigh_shortcuts import weigh_shortcuts


def common_nodes(graph: nir.NIRGraph, image: tuple[int, ...] | None = None) -> nir.NIRGraph:
    """Return a graph of the same function in the nodes that `lower` writes, CubaLIF and the integrators besides.

    `image` is the shape `(C, H, W)` of the data that a flat input is read from. A graph of any form is taken;
    what cannot be rewritten stays, for the rules of `contract` to name.
    """
    graph = linear_to_affine(flatten_subgraphs(graph))
    graph = sum_pool_to_average(conv1d_to_conv2d(graph))
    graph = threshold_to_lif(graph, float(graph.metadata.get("dt", math.nan)))
    return count_spikes(shape_input(graph, image))


def fold(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return the graph of `common_nodes` as it is quantised: shapes known, shortcuts weighed, the rest folded."""
    return fold_average_pooling(fold_scale(weigh_shortcuts(infer_shapes(graph))))
