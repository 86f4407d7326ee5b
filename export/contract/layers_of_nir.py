"""A NIR graph as layers: shapes inferred along the edges, nothing folded, nothing refused."""

import math
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from neurokd.export.contract.layers import Layer, Neurons, Pool, Role, Shape
from neurokd.export.nir_graphs.euler import Integrator, Spiking, euler_step
from neurokd.export.nir_graphs.reset import initial_of, reset_of

_ROLES: dict[type, Role] = {
    nir.Input: "input",
    nir.Output: "output",
    nir.Conv2d: "weights",
    nir.Affine: "weights",
    nir.LIF: "neurons",
    nir.IF: "neurons",
    nir.CubaLIF: "neurons",
    nir.LI: "integrator",
    nir.I: "integrator",
    nir.CubaLI: "integrator",
    nir.Scale: "scale",
    nir.AvgPool2d: "pool",
    nir.Flatten: "flatten",
}


def layers_of_nir(graph: nir.NIRGraph) -> list[Layer]:
    """The layers of `graph`, in the order in which they run; those in a cycle come last.

    `graph.metadata["dt"]`, in seconds, turns time constants into decays; without it they are unknown (None).
    """
    dt = float(graph.metadata.get("dt", math.nan))
    layers = {name: _layer(name, node, dt) for name, node in graph.nodes.items()}
    inputs = [layer for layer in layers.values() if layer.role == "input"]
    for extra in inputs[1:]:
        extra.kind = "another input"
    for source, target in graph.edges:
        layers[target].reads(layers[source])
    ordered = _in_order(list(layers.values()))
    for layer in ordered:
        layer.shape = _shape(layer)
    return ordered


def _layer(name: str, node: Any, dt: float) -> Layer:
    role = _ROLES.get(type(node), "other")
    kind = role if role in ("input", "output") else type(node).__name__
    layer = Layer(name, f"nir.{kind}" if role == "other" else kind, role, node)
    layer.neurons = _neurons(node, dt) if role in ("neurons", "integrator") else None
    layer.pool = _pool(node) if role == "pool" else None
    return layer


def _in_order(layers: list[Layer]) -> list[Layer]:
    """Sources before users (Kahn 1962); what is in a cycle, or behind one, at the end."""
    waiting = {id(layer): len(layer.sources) for layer in layers}
    ready, ordered = [layer for layer in layers if not layer.sources], []
    while ready:
        layer = ready.pop(0)
        ordered.append(layer)
        for user in layer.users:
            waiting[id(user)] -= 1
            if waiting[id(user)] == 0:
                ready.append(user)
    return ordered + [layer for layer in layers if waiting[id(layer)] > 0]


def _shape(layer: Layer) -> Shape | None:
    """Shape of the output, from that of the input as torch defines it; None where either is unknown."""
    node, before = layer.op, layer.input_shape
    if layer.role == "input":
        return tuple(int(size) for size in node.input_type["input"])
    if before is None or layer.role == "other":
        return None
    if isinstance(node, nir.Flatten):
        return (math.prod(before),)
    if isinstance(node, nir.Affine):
        return (len(node.weight),)
    if isinstance(node, nir.Conv2d):
        if len(before) != 3 or isinstance(node.padding, str):
            return None
        return (len(node.weight), *_windows(before, node.weight.shape[2:], node.stride, node.padding, node.dilation))
    if layer.pool is not None and len(before) == 3:
        return (before[0], *_windows(before, layer.pool.kernel, layer.pool.stride, node.padding, 1))
    return before


def _windows(before: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Shape:
    """`floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1` of both axes (torch.nn.Conv2d)."""
    geometry = (_pair(value) for value in (kernel, stride, padding, dilation))
    axes = zip(before[1:], *geometry, strict=True)
    return tuple((size + 2 * pad - gap * (taps - 1) - 1) // step + 1 for size, taps, step, pad, gap in axes)


def _neurons(node: Spiking | Integrator, dt: float) -> Neurons:
    """The parameters of one Euler step; an integrator never reaches its threshold, infinity.

    Only thresholds may differ, from channel to channel: they are then compared by the smallest.
    """
    step = euler_step(node, dt)
    threshold = np.asarray(getattr(node, "v_threshold", math.inf), np.float64)
    values = {"r": node.r, "v_leak": getattr(node, "v_leak", 0.0), "v_reset": getattr(node, "v_reset", 0.0)}
    values |= {key: getattr(node, key) for key in ("tau", "tau_syn", "tau_mem", "w_in") if hasattr(node, key)}
    values |= {} if channelwise(threshold) is not None else {"v_threshold": threshold}
    unique = {key: np.unique(np.asarray(value, np.float64)) for key, value in values.items()}
    return Neurons(
        float(threshold.min(initial=math.inf)),
        1.0 - _first(step.forget_v),
        reset_of(node),
        initial_of(node),
        rest=_first(unique["v_leak"]) or _first(unique["v_reset"]),
        gain=_first(step.gain),
        differing=tuple(key for key, found in unique.items() if found.size != 1),
        synapse=1.0 - _first(step.forget_u),
        per_channel=threshold.size > 1 and bool(np.ptp(threshold)),
    )


def channelwise(values: Any) -> npt.NDArray[np.float64] | None:
    """One value (0-d) or one per channel, `[C]`, of values shaped `[C, H, W]` or `[N]`; None if a channel has several.

    >>> channelwise(np.array([[[1.0]], [[2.0]]]))
    array([1., 2.])
    """
    array = np.asarray(values, np.float64)
    if array.size and array.min() == array.max():
        return np.array(array.flat[0])
    if array.size == 0 or array.ndim == 0:
        return None
    flat = array.reshape(len(array), -1)
    return np.asarray(flat[:, 0]) if (flat == flat[:, :1]).all() else None


def _first(values: npt.NDArray[Any]) -> float:
    return float(values.flat[0]) if values.size else math.nan


def _pool(node: nir.AvgPool2d) -> Pool:
    kernel, stride = (_pair(value) for value in (node.kernel_size, node.stride))
    return Pool(kernel, stride, "padding" if np.any(np.asarray(node.padding)) else "")


def _pair(value: Any) -> tuple[int, int]:
    first, second = np.broadcast_to(value, 2)
    return int(first), int(second)
