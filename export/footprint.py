"""What each population takes on the target: neurons, weights, neurocores; for trained weights, its integers."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import nir
import numpy as np

from neurokd.export.layers import Shape
from neurokd.export.layers_of_nir import layers_of_nir
from neurokd.export.quantize import Quantized
from neurokd.export.target import Core, Target

WEIGHT_BYTES = 1  # 8-bit weights


@dataclass(frozen=True)
class Integers:
    """Largest magnitudes after quantisation, and the limit of the chip that kept the scale from being larger."""

    weight: int
    threshold: int | None
    bias: int
    limited_by: str


@dataclass(frozen=True)
class Footprint:
    """One population and the weights into it, average pooling folded into them.

    `weights` are stored values; `fan_in` is the most inputs that one neuron reads. `cores_at_least` is
    a lower bound: a compiler may need more, never fewer. None: the target has no cores.
    """

    name: str
    kind: str
    shape: Shape
    neurons: int
    fan_in: int
    weights: int
    cores_at_least: int | None
    integers: Integers | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def footprints(graph: nir.NIRGraph, target: Target, quantized: Quantized | None = None) -> tuple[Footprint, ...]:
    """The populations of a folded chain in order; `quantized` is the same chain as integers, where there is one."""
    integers = _integers(quantized) if quantized else {}
    found = []
    for layer in layers_of_nir(graph):
        if layer.role != "weights":
            continue
        after, weight = layer.after, np.asarray(layer.op.weight)
        name = after.path if after is not None and after.role in ("neurons", "integrator") else layer.path
        shape = layer.shape or ()
        neurons = math.prod(shape)
        cores = None if target.core is None else _cores(target.core, neurons, weight.size)
        kind = "conv" if layer.kind == "Conv2d" else "dense"
        found.append(Footprint(name, kind, shape, neurons, weight[0].size, weight.size, cores, integers.get(name)))
    return tuple(found)


def _cores(core: Core, neurons: int, weights: int) -> int:
    """No core holds more than its neurons, nor more bytes of weights; every weight is stored at least once."""
    return max(math.ceil(neurons / core.neurons), math.ceil(weights * WEIGHT_BYTES / core.synapse_bytes))


def _integers(quantized: Quantized) -> dict[str, Integers]:
    found = {}
    for population, scale in zip(quantized.network.populations, quantized.scales, strict=True):
        (connection,) = quantized.network.incoming(population.name)
        bias = 0 if population.bias is None else int(np.abs(population.bias).max())
        threshold = None if population.name == quantized.network.readout else int(population.threshold.max())
        found[population.name] = Integers(int(np.abs(connection.weight).max()), threshold, bias, scale.limited_by)
    return found
