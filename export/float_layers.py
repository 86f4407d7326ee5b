"""The float layers of a NIR chain as quantisation wants them: synapse and neurons paired, gains multiplied in."""

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.chain import chain_of
from neurokd.export.euler import FloatArray, Integrator, Spiking, euler_step
from neurokd.export.layers_of_nir import channelwise
from neurokd.export.network import MAX_DECAY
from neurokd.export.nir_reset import reset_of
from neurokd.inputs import PIXELS, SPIKES, Encoding


@dataclass(frozen=True)
class FloatLayer:
    """One population to be.

    `weight` and `bias` are currents per input as it will be presented: an integer 0..`input_max`, a
    spike 0 or 1. `threshold` is one value (0-d) or one per channel, `[C]`, and None for the read-out, which never
    spikes. `image` is the shape of the network's input.
    """

    name: str
    synapse: Any
    weight: FloatArray
    bias: FloatArray
    threshold: FloatArray | None
    decay_u: int
    decay_v: int
    input_max: int
    shape: tuple[int, ...]
    image: tuple[int, ...]


def float_layers(graph: nir.NIRGraph, dt: float, encoding: Encoding = PIXELS) -> list[FloatLayer]:
    """Pair every synapse of a chain with the neurons after it; the last is the read-out, alone or with an integrator.

    `encoding` says which integers stand for the input of the first, `dt` is the step in seconds.

    Raises NeurokdError naming a layer that does not fit this pattern or the neurons of the chip.
    """
    image = tuple(int(size) for size in chain_of(graph)[0][1].input_type["input"])
    layers: list[FloatLayer] = []
    synapse: tuple[str, Any] | None = None
    for name, node in chain_of(graph)[1:]:
        if isinstance(node, nir.Conv2d | nir.Affine):
            if synapse is not None:
                raise NeurokdError(f"layer '{name}': follows '{synapse[0]}' without neurons between; put nn.ReLU there")
            if layers and layers[-1].threshold is None:
                raise NeurokdError(f"layer '{name}': follows the integrator '{layers[-1].name}', which does not spike")
            synapse = (name, node)
        elif isinstance(node, Spiking | Integrator | nir.Output):
            neurons = None if isinstance(node, nir.Output) else node
            if synapse is None and neurons is not None:
                raise NeurokdError(f"layer '{name}': neurons without a convolution or linear layer before them")
            if synapse is not None:
                layers.append(_layer(name, synapse, neurons, dt, image, SPIKES if layers else encoding))
            synapse = None
        elif not isinstance(node, nir.Flatten):
            raise NeurokdError(f"layer '{name}': {type(node).__name__} cannot be quantised for loihi2")
    if not layers:
        raise NeurokdError("graph: no layer with weights")
    if layers[-1].threshold is not None:
        raise NeurokdError(
            f"layer '{layers[-1].name}': neurons at the end; let the model end in nn.Linear, the read-out"
        )
    return layers


def _layer(
    name: str,
    synapse: tuple[str, Any],
    neurons: Spiking | Integrator | None,
    dt: float,
    image: tuple[int, ...],
    inputs: Encoding,
) -> FloatLayer:
    path, node = synapse
    weight, bias = np.asarray(node.weight, np.float64), np.asarray(node.bias, np.float64)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise NeurokdError(f"layer '{path}': NaN or infinite weights")
    if not weight.any():
        raise NeurokdError(f"layer '{path}': all weights are zero; nothing would ever reach the next layer")
    threshold, decay_u, decay_v = None, MAX_DECAY, 0
    if neurons is not None:
        gain, decay_u, decay_v = _dynamics(name, neurons, dt)
        if decay_u < MAX_DECAY and bias.any():
            raise NeurokdError(
                f"layer '{path}': a bias before the synaptic current of '{name}', which would filter it; the chip adds "
                "a bias to the membrane, so train this layer with bias=False"
            )
        weight, bias = weight * gain, bias * gain
        threshold = _threshold(name, neurons) if isinstance(neurons, Spiking) else None
    shape = tuple(int(size) for size in node.output_type["output"])
    label = path if neurons is None else name
    return FloatLayer(
        label, node, weight * inputs.unit, bias, threshold, decay_u, decay_v, inputs.maximum, shape, image
    )  # fmt: skip


def _dynamics(name: str, neurons: Spiking | Integrator, dt: float) -> tuple[float, int, int]:
    """The factor of the current, and both decays as integers."""
    if reset_of(neurons) != "hard":
        raise NeurokdError(f"layer '{name}': a soft reset cannot run on loihi2; train it with a reset to zero")
    rest = [_one_value(getattr(neurons, key), name, key) for key in ("v_leak", "v_reset") if hasattr(neurons, key)]
    step = euler_step(neurons, dt)
    gain = _one_value(step.gain, name, "r or time constants")
    forget_u, forget_v = _one_value(step.forget_u, name, "tau_syn"), _one_value(step.forget_v, name, "tau")
    for forget in (forget_u, forget_v):
        if not 0.0 <= forget <= 1.0:
            raise NeurokdError(
                f"layer '{name}': a step of dt = {dt:g} s is {forget:.3g} times its time constant; needs 0 < dt <= tau"
            )
    if any(rest) or not 0.0 < gain < np.inf:
        raise NeurokdError(f"layer '{name}': needs v_leak = v_reset = 0 and r > 0 (gain per step is {gain:g})")
    return gain, round(forget_u * MAX_DECAY), round(forget_v * MAX_DECAY)


def _threshold(name: str, neurons: Spiking) -> FloatArray:
    threshold = channelwise(neurons.v_threshold)
    if threshold is None:
        _one_value(neurons.v_threshold, name, "v_threshold within a channel")
    if threshold is None or not (np.isfinite(threshold) & (threshold > 0.0)).all():
        raise NeurokdError(f"layer '{name}': needs finite thresholds above 0")
    return threshold


def _one_value(values: Any, name: str, field: str) -> float:
    unique = np.unique(np.asarray(values, np.float64))
    if unique.size != 1:
        between = f"({unique[0]:g} to {unique[-1]:g})" if unique.size else "(no values at all)"
        raise NeurokdError(f"layer '{name}': neurons differ in {field} {between}; use one value")
    return float(unique[0])
