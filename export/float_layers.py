"""The float layers of a NIR chain as quantisation wants them: synapse and neurons paired, gains multiplied in."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import nir
import numpy as np
import numpy.typing as npt

from neurokd.errors import NeurokdError
from neurokd.export.chain import chain_of
from neurokd.export.network import MAX_DECAY
from neurokd.inputs import PIXELS, SPIKES, Encoding

FloatArray = npt.NDArray[np.floating[Any]]
Neurons: TypeAlias = nir.LIF | nir.IF


@dataclass(frozen=True)
class FloatLayer:
    """One population to be.

    `weight` and `bias` are currents per input as it will be presented: an integer 0..`input_max`, a
    spike 0 or 1. `neuron` is None for the read-out. `image` is the shape of the network's input.
    """

    name: str
    synapse: Any
    neuron: Neurons | None
    weight: FloatArray
    bias: FloatArray
    threshold: float
    decay_v: int
    input_max: int
    shape: tuple[int, ...]
    image: tuple[int, ...]


def float_layers(graph: nir.NIRGraph, dt: float, encoding: Encoding = PIXELS) -> list[FloatLayer]:
    """Pair every synapse of a chain with the neurons after it; the last one stands alone, the read-out.

    `encoding` says which integers stand for the input of the first.

    Raises NeurokdError naming a layer that does not fit this pattern or the LIF of the chip.
    """
    image = tuple(int(size) for size in chain_of(graph)[0][1].input_type["input"])
    layers: list[FloatLayer] = []
    synapse: tuple[str, Any] | None = None
    for name, node in chain_of(graph)[1:]:
        if isinstance(node, nir.Conv2d | nir.Affine):
            if synapse is not None:
                raise NeurokdError(f"layer '{name}': follows '{synapse[0]}' without neurons between; put nn.ReLU there")
            synapse = (name, node)
        elif isinstance(node, Neurons | nir.Output):
            if synapse is None and isinstance(node, Neurons):
                raise NeurokdError(f"layer '{name}': neurons without a convolution or linear layer before them")
            if synapse is not None:
                neurons = node if isinstance(node, Neurons) else None
                layers.append(_layer(name, synapse, neurons, dt, image, SPIKES if layers else encoding))
            synapse = None
        elif not isinstance(node, nir.Flatten):
            raise NeurokdError(f"layer '{name}': {type(node).__name__} cannot be quantised for loihi2")
    if not layers:
        raise NeurokdError("graph: no layer with weights")
    if layers[-1].neuron is not None:
        raise NeurokdError(
            f"layer '{layers[-1].name}': neurons at the end; let the model end in nn.Linear, the read-out"
        )
    return layers


def _layer(
    name: str, synapse: tuple[str, Any], neuron: Neurons | None, dt: float, image: tuple[int, ...], inputs: Encoding
) -> FloatLayer:
    path, node = synapse
    weight, bias = np.asarray(node.weight, np.float64), np.asarray(node.bias, np.float64)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise NeurokdError(f"layer '{path}': NaN or infinite weights")
    if not weight.any():
        raise NeurokdError(f"layer '{path}': all weights are zero; nothing would ever reach the next layer")
    threshold, decay_v = 0.0, 0
    if neuron is not None:
        forget, gain = _euler_step(neuron, dt, name)
        threshold = _one_value(neuron.v_threshold, name, "v_threshold")
        fields = [field for field in ("v_leak", "v_reset") if hasattr(neuron, field)]
        rest = [_one_value(getattr(neuron, field), name, field) for field in fields]
        if any(rest) or not 0.0 <= forget <= 1.0 or threshold <= 0.0 or gain <= 0.0:
            raise NeurokdError(f"layer '{name}': needs v_leak = v_reset = 0, dt <= tau, r > 0 and v_threshold > 0")
        weight, bias, decay_v = weight * gain, bias * gain, round(forget * MAX_DECAY)
    shape = tuple(int(size) for size in node.output_type["output"])
    label = name if neuron is not None else path
    return FloatLayer(label, node, neuron, weight * inputs.unit, bias, threshold, decay_v, inputs.maximum, shape, image)


def _euler_step(neuron: Neurons, dt: float, name: str) -> tuple[float, float]:
    """What one step takes off the membrane, and by what it multiplies the current."""
    r = _one_value(neuron.r, name, "r")
    if isinstance(neuron, nir.IF):
        return 0.0, dt * r
    forget = dt / _one_value(neuron.tau, name, "tau")
    return forget, forget * r


def _one_value(values: Any, name: str, field: str) -> float:
    unique = np.unique(np.asarray(values, np.float64))
    if unique.size != 1:
        raise NeurokdError(
            f"layer '{name}': neurons differ in {field} ({unique[0]:g} to {unique[-1]:g}); use one value"
        )
    return float(unique[0])
