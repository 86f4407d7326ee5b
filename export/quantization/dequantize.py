"""The float graph with the values that the integers stand for: rounded numbers, exact arithmetic."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import nir
import numpy as np

from neurokd.export.network import MAX_DECAY, Population
from neurokd.export.nir_graphs.euler import FloatArray, Integrator, Spiking, euler_step
from neurokd.export.quantization.float_populations import FloatPopulation
from neurokd.export.quantization.integers import LayerScale, to_integers
from neurokd.export.quantization.quantize import encoding_of
from neurokd.export.validate import INPUT


def dequantize(
    graph: nir.NIRGraph, populations: Sequence[FloatPopulation], scales: Sequence[LayerScale], *, neurons: bool
) -> nir.NIRGraph:
    """Return `graph` with weights `integer / scale` and, if `neurons`, with bias, threshold and decays alike.

    `populations` are those whose nearest integers at `scales` are the network's. Without `neurons` the graph has
    their float bias and threshold. A time constant so long that its decay rounds to 0 stays as it is.
    """
    nodes, unit = dict(graph.nodes), encoding_of(graph).unit
    for population, scale in zip(populations, scales, strict=True):
        integers, connections = to_integers(population, replace(scale, plane=False))
        node, gain = nodes.get(population.name), 1.0
        if isinstance(node, Spiking | Integrator):
            gain = float(euler_step(node, float(graph.metadata["dt"])).gain.flat[0])
            nodes[population.name] = _neurons(node, population, scale, integers if neurons else None, graph.metadata)
        bias = _bias(population, scale, integers) if neurons else population.bias
        for synapse, connection in zip(population.synapses, connections, strict=True):
            factor = scale.scale * gain * (unit if synapse.source == INPUT else 1.0)
            layer = copy.copy(nodes[synapse.name])
            layer.weight, layer.bias = connection.weight / factor, bias / gain
            nodes[synapse.name], bias = layer, np.zeros_like(bias)  # a population has one bias, each layer its own
    return nir.NIRGraph(nodes, graph.edges, metadata=dict(graph.metadata), type_check=False)


def _bias(population: FloatPopulation, scale: LayerScale, integers: Population) -> FloatArray:
    return np.zeros_like(population.bias) if integers.bias is None else integers.bias / scale.scale


def _neurons(
    node: Any, population: FloatPopulation, scale: LayerScale, integers: Population | None, metadata: dict[str, Any]
) -> Any:
    """`node` with the threshold of `population` or, where given, with that of the integers and their decays."""
    rounded = copy.copy(node)
    if population.threshold is not None:
        threshold = np.asarray(population.threshold if integers is None else integers.threshold / scale.scale)
        per_channel = threshold.reshape(-1, *[1] * (len(population.shape) - 1))
        rounded.v_threshold = np.array(np.broadcast_to(per_channel, population.shape))
    if integers is not None:
        _round_decays(rounded, integers, float(metadata["dt"]))
    return rounded


def _round_decays(node: Any, integers: Population, dt: float) -> None:
    """Set the time constants of our own copy `node` to those of the integer decays, at the same gain (`euler_step`)."""
    step = euler_step(node, dt)
    forget_u, forget_v = integers.decay_u / MAX_DECAY, integers.decay_v / MAX_DECAY
    if isinstance(node, nir.LIF | nir.LI) and forget_v:
        node.tau, node.r = np.full_like(node.tau, dt / forget_v), step.gain / forget_v
    if isinstance(node, nir.CubaLIF | nir.CubaLI) and forget_u and forget_v:
        node.tau_syn, node.tau_mem = (np.full_like(node.tau_syn, dt / forget) for forget in (forget_u, forget_v))
        node.w_in = step.gain / (forget_u * forget_v * np.asarray(node.r, np.float64))
