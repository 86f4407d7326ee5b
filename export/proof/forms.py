"""Run the same images through every form between the float network and the integers."""

from collections.abc import Iterator

import nir

from neurokd.data.images import ImageSet
from neurokd.export.proof.stages import Stage, of_graph
from neurokd.export.quantization.dequantize import dequantize
from neurokd.export.quantization.quantize import encoding_of
from neurokd.export.quantization.scale_search import Candidate

NEURONS_ROUNDED = "bias, threshold and decays as integers, arithmetic in float"


def float_forms(folded: nir.NIRGraph, chosen: Candidate, images: ImageSet) -> Iterator[Stage]:
    """Yield what the graph with pooling folded computes, then with fewer bits, rounded weights and rounded neurons.

    One rewrite comes after the other, so that the difference of two neighbours is what one of them costs. The
    arithmetic is float32 everywhere; what the integers still change is truncation.
    """
    encoding, shown = encoding_of(folded), encoding_of(chosen.graph)
    yield of_graph("pooling folded", folded, images, encoding, "the graph that is quantised")
    if shown != encoding:
        yield of_graph("input rounded", chosen.graph, images, shown, f"{shown.bits} bits, 0 to {shown.maximum}")
    quantized = chosen.quantized
    for neurons, name, note in (
        (False, "weights rounded", f"{quantized.scales[0].bits} bits"),
        (True, "neurons rounded", NEURONS_ROUNDED),
    ):
        graph = dequantize(chosen.graph, chosen.populations, quantized.scales, neurons=neurons)
        yield of_graph(name, graph, images, shown, note)
