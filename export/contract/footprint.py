"""What each population takes on the target: neurons, weights, neurocores; for trained weights, its integers."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import nir
import numpy as np

from neurokd.export.contract.layers import Shape
from neurokd.export.contract.layers_of_nir import layers_of_nir
from neurokd.export.contract.target import Core, Target
from neurokd.export.quantization.quantize import Quantized

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
    """One population and all weights into it, average pooling folded into them.

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
    """The populations of a folded graph in order; `quantized` is the same graph as integers, where there is one."""
    integers = _integers(quantized) if quantized else {}
    found = []
    for layer in layers_of_nir(graph):
        if layer.role not in ("neurons", "integrator", "output") or layer.drivers[0].role == "integrator":
            continue
        synapses = layer.drivers
        name = synapses[0].path if layer.role == "output" else layer.path
        kinds = " and ".join(dict.fromkeys("conv" if one.kind == "Conv2d" else "dense" for one in synapses))
        shape = synapses[0].shape or ()
        neurons, fan_in = math.prod(shape), sum(int(np.asarray(one.op.weight)[0].size) for one in synapses)
        weights = sum(int(np.asarray(one.op.weight).size) for one in synapses)
        cores = None if target.core is None else _cores(target.core, neurons, weights)
        found.append(Footprint(name, kinds, shape, neurons, fan_in, weights, cores, integers.get(name)))
    return tuple(found)


def _cores(core: Core, neurons: int, weights: int) -> int:
    """No core holds more than its neurons, nor more bytes of weights; every weight is stored at least once."""
    return max(math.ceil(neurons / core.neurons), math.ceil(weights * WEIGHT_BYTES / core.synapse_bytes))


def _integers(quantized: Quantized) -> dict[str, Integers]:
    found = {}
    for population, scale in zip(quantized.network.populations, quantized.scales, strict=True):
        weight = max(int(np.abs(one.weight).max()) for one in quantized.network.incoming(population.name))
        bias = 0 if population.bias is None else int(np.abs(population.bias).max())
        threshold = None if population.name == quantized.network.readout else int(population.threshold.max())
        found[population.name] = Integers(weight, threshold, bias, scale.limited_by)
    return found
