"""A float NIR chain becomes a `LoihiNetwork`: weights, bias and threshold of a population scaled together.

A LIF neuron is positively homogeneous: scaling its weights, bias and threshold by one number changes
no spike. So each population gets one scale, as large as its limits allow, and only ratios are rounded.
"""

import math
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.bias_plane import CONSTANT, split_bias, widen
from neurokd.export.float_layers import FloatLayer, float_layers
from neurokd.export.network import (
    CURRENT_LIMIT,
    MAX_BIAS,
    MAX_DECAY,
    MAX_INPUT,
    MAX_THRESHOLD,
    MAX_WEIGHT,
    Connection,
    InputSpec,
    IntArray,
    LoihiNetwork,
    Population,
)  # fmt: skip
from neurokd.inputs import PIXELS, Encoding


@dataclass(frozen=True)
class LayerScale:
    """How one population was quantised: integer = round(`scale` * float).

    `clipped_fraction` of its weights lay outside the 8-bit range and were cut to it.
    """

    name: str
    scale: float
    clipped_fraction: float
    limited_by: str


@dataclass(frozen=True)
class Quantized:
    """The integer network and how each population got there."""

    network: LoihiNetwork
    scales: tuple[LayerScale, ...]


def quantize(graph: nir.NIRGraph, *, clip: float = 1.0, labels: tuple[str, ...] = ()) -> Quantized:
    """Quantise a pooled-away NIR chain `Input, (Conv2d | Affine | Flatten, LIF)*, Affine, Output`.

    An LIF may be an IF or a CubaLIF as well, and an integrator (LI, I, CubaLI) may follow the last layer: then the
    membrane that it leaves at a step is the answer, instead of the sum of all logits so far.

    `clip` in (0, 1] sets the largest weight that is kept, relative to the largest there is; smaller
    values round finer and clip more. `graph.metadata` needs `dt` (seconds) and `timesteps`; integers
    0..`input_maximum`, of which 1 is `input_unit`, stand for the graph's float input: unless given,
    pixels 0..255 for [0, 1]. Raises NeurokdError naming the layer that cannot be held, e.g. a
    population whose neurons differ in their time constant.
    """
    timesteps, dt = int(graph.metadata["timesteps"]), float(graph.metadata["dt"])
    encoding = encoding_of(graph)
    layers = float_layers(graph, dt, encoding)
    populations: list[Population] = []
    connections: list[Connection] = []
    scales: list[LayerScale] = []
    constant = 0
    source = "input"
    for layer in layers:
        scale, limited_by, plane = _scale(layer, clip, timesteps)
        population, connection, clipped = _integers(layer, source, scale, plane)
        while _reach(layer, population, connection, timesteps) >= CURRENT_LIMIT:  # rounding went over the limit
            scale, limited_by = scale * 0.99, "current"
            population, connection, clipped = _integers(layer, source, scale, plane)
        constant = CONSTANT if plane else constant
        populations.append(population)
        connections.append(connection)
        scales.append(LayerScale(layer.name, scale, clipped, limited_by))
        source = layer.name
    channels, *size = layers[0].image
    shape = (channels + 1 if constant else channels, *size)
    network = LoihiNetwork(
        input=InputSpec(shape, encoding.kind, constant, encoding.maximum),
        populations=tuple(populations),
        connections=tuple(connections),
        timesteps=timesteps,
        readout=source,
        logit_scale=1.0 / scales[-1].scale,
        labels=labels,
    )
    return Quantized(network, tuple(scales))


def encoding_of(graph: nir.NIRGraph) -> Encoding:
    """Which integers stand for the input of `graph`, by its metadata; NeurokdError where the chip takes none such."""
    maximum = int(graph.metadata.get("input_maximum", PIXELS.maximum))
    unit = float(graph.metadata.get("input_unit", PIXELS.unit))
    if not 1 <= maximum <= MAX_INPUT or not 0.0 < unit < math.inf:
        raise NeurokdError(
            f"graph: inputs of 0..{maximum}, each worth {unit:g}; allowed are 1..{MAX_INPUT} and a unit above 0"
        )
    return Encoding(maximum, unit)


def _scale(layer: FloatLayer, clip: float, timesteps: int) -> tuple[float, str, bool]:
    """The largest scale within all limits, the limit that binds, and whether a bias plane is used."""
    per_output = layer.weight.reshape(layer.weight.shape[0], -1)
    steps = _steps_summed(layer, timesteps)
    peak_bias = float(np.abs(layer.bias).max())
    current = np.maximum(per_output.clip(min=0).sum(1), (-per_output).clip(min=0).sum(1)) * layer.input_max
    limits = {"weight bits": MAX_WEIGHT / (clip * float(np.abs(layer.weight).max()))}
    if layer.threshold is not None:
        limits["threshold"] = MAX_THRESHOLD / float(layer.threshold.max())
    scale = min(limits.values())
    plane = _can_widen(layer) and peak_bias * min(scale, CURRENT_LIMIT / float(current.max())) > MAX_BIAS
    if plane:  # the plane's share of the bias is a current too
        current = current + np.abs(layer.bias)
        limits["bias"] = (MAX_WEIGHT * CONSTANT) / max(peak_bias, 1e-12)
    else:
        current = current + (np.abs(layer.bias) if layer.threshold is None else 0.0)
        limits["bias"] = MAX_BIAS / max(peak_bias, 1e-12)
    limits["current"] = (CURRENT_LIMIT - 1) / steps / float(current.max())
    limited_by = min(limits, key=lambda key: limits[key])
    return limits[limited_by], limited_by, plane


def _steps_summed(layer: FloatLayer, timesteps: int) -> float:
    """How many times its largest sum a current or, in a read-out, a membrane can reach: a geometric series."""
    membrane = _series(layer.decay_v, timesteps) if layer.threshold is None else 1.0
    return _series(layer.decay_u, timesteps) * membrane


def _series(decay: int, timesteps: int) -> float:
    return min(float(timesteps), MAX_DECAY / decay) if decay else float(timesteps)


def _reach(layer: FloatLayer, population: Population, connection: Connection, timesteps: int) -> float:
    """The largest current that the integers can make or, for the read-out, the largest membrane."""
    weight = connection.weight.reshape(connection.weight.shape[0], -1)
    sums = np.maximum(weight.clip(min=0).sum(axis=1), -weight.clip(max=0).sum(axis=1)) * layer.input_max
    if layer.threshold is None:
        sums = sums + (0 if population.bias is None else np.abs(population.bias))
    return _steps_summed(layer, timesteps) * int(sums.max())


def _can_widen(layer: FloatLayer) -> bool:
    return layer.input_max > 1 and (isinstance(layer.synapse, nir.Affine) or int(layer.synapse.groups) == 1)


def _integers(layer: FloatLayer, source: str, scale: float, plane: bool) -> tuple[Population, Connection, float]:
    wanted = layer.weight * scale
    weight: IntArray = np.clip(2 * np.round(wanted / 2), -MAX_WEIGHT, MAX_WEIGHT).astype(np.int64)
    clipped = float((np.abs(wanted) > MAX_WEIGHT + 1).mean())
    bias: IntArray = np.round(layer.bias * scale).astype(np.int64)
    geometry: dict[str, Any] = {}
    if isinstance(layer.synapse, nir.Conv2d):
        geometry = {key: _pair(getattr(layer.synapse, key)) for key in ("stride", "padding", "dilation")}
        geometry["groups"] = int(layer.synapse.groups)
    if plane:
        coarse, bias = split_bias(bias)
        weight = widen(layer.name, weight, coarse, layer.image[1:], geometry)
    wanted_threshold = np.array(MAX_THRESHOLD) if layer.threshold is None else np.round(layer.threshold * scale)
    threshold: IntArray = wanted_threshold.astype(np.int64)
    if threshold.min() < 1:
        raise NeurokdError(f"layer '{layer.name}': its weights are too large beside its threshold (scale {scale:g})")
    population = Population(
        name=layer.name,
        shape=layer.shape,
        threshold=threshold,
        decay_u=layer.decay_u,
        decay_v=layer.decay_v,
        bias=bias if bias.any() else None,
    )
    return population, Connection(source, layer.name, weight, **geometry), clipped


def _pair(value: Any) -> tuple[int, int]:
    first, second = np.broadcast_to(value, 2)
    return int(first), int(second)
