"""One step of a population as ONNX nodes; `Population` has the equations."""

from dataclasses import dataclass

import numpy as np

from neurokd.export.network import FRACTION_BITS, MAX_DECAY, Connection, IntArray, LoihiNetwork, Population
from neurokd.export.onnx_graphs.exact import STATE_LIMIT
from neurokd.export.onnx_graphs.graph import INT64, Graph


@dataclass(frozen=True)
class State:
    """Names of u and v, int64, broadcastable to `[B, *shape]`; None is 0 everywhere."""

    u: str | None = None
    v: str | None = None


def initial_state(graph: Graph, population: Population) -> State:
    """The state before the first step."""
    return State(v=graph.constant(_channelwise(population.initial, population.shape)))


def add_current(graph: Graph, network: LoihiNetwork, population: Population, signals: dict[str, str]) -> str | None:
    """`a << 6`, int64 `[B, *shape]`; `signals` are the float values of "input" and of the populations before."""
    total: str | None = None
    for index, connection in enumerate(network.connections):
        if connection.target != population.name:
            continue
        weight = _weight(graph, connection, index)
        product = _product(graph, connection, weight, signals[connection.source], population.shape)
        total = product if total is None else graph.node("Add", total, product)
    if total is None:
        return None
    shifted = graph.node("Mul", total, graph.constant(1 << FRACTION_BITS, np.float32))  # changes the exponent alone
    return graph.cast(shifted, INT64)


def add_neurons(
    graph: Graph, population: Population, current: str | None, before: State, bias: str | None, *, wraps: bool
) -> tuple[str, State]:
    """The spikes (bool) and the state after one step.

    `bias` is `bias << 6` where the input is the bias; `wraps` says that u can leave 24 bits.
    """
    u = _sum(graph, _decay(graph, before.u, population.decay_u), current)
    if u is not None and wraps:
        u = _wrap_once(graph, u)
    if population.bias is not None:
        bias = graph.constant(_shifted(population.bias, population.shape), name=f"bias/{population.name}")
    v = _sum(graph, _sum(graph, _decay(graph, before.v, population.decay_v), u), bias)
    if v is None:
        raise ValueError(f"population '{population.name}': neither current nor bias")
    v = graph.node("Clip", v, graph.constant(1 - STATE_LIMIT), graph.constant(STATE_LIMIT - 1))
    shifted = _shifted(population.threshold, population.shape)
    threshold = graph.constant(shifted, name=f"threshold/{population.name}")
    soft = population.reset == "soft"
    spikes = graph.node("GreaterOrEqual" if soft else "Greater", v, threshold)
    reset = graph.node("Sub", v, threshold) if soft else graph.constant(0)
    return spikes, State(u, graph.node("Where", spikes, reset, v))


def add_readout(graph: Graph, v: str) -> str:
    """`v >> 6`, rounded toward minus infinity as an arithmetic shift does; ONNX shifts unsigned numbers only."""
    unit = graph.constant(1 << FRACTION_BITS)
    return graph.node("Div", graph.node("Sub", v, graph.node("Mod", v, unit)), unit)


def _weight(graph: Graph, connection: Connection, index: int) -> str:
    return graph.constant(connection.weight, np.float32, f"weight/{index}/{connection.source}/{connection.target}")


def _product(graph: Graph, connection: Connection, weight: str, source: str, shape: tuple[int, ...]) -> str:
    c = connection
    if c.kind == "conv":
        return graph.node(
            "Conv", source, weight, strides=c.stride, pads=c.padding * 2, dilations=c.dilation, group=c.groups,
            kernel_shape=c.weight.shape[2:],
        )  # fmt: skip
    product = graph.node("Gemm", graph.node("Flatten", source, axis=1), weight, transB=1)
    return product if len(shape) == 1 else graph.node("Reshape", product, graph.constant([-1, *shape]))


def _decay(graph: Graph, state: str | None, decay: int) -> str | None:
    """`trunc(state * (4096 - decay) / 4096)`: ONNX divides integers toward zero."""
    if state is None or decay == MAX_DECAY:
        return None
    if decay == 0:
        return state
    product = graph.node("Mul", state, graph.constant(MAX_DECAY - decay))
    return graph.node("Div", product, graph.constant(MAX_DECAY))


def _sum(graph: Graph, first: str | None, second: str | None) -> str | None:
    if first is None or second is None:
        return first or second
    return graph.node("Add", first, second)


def _wrap_once(graph: Graph, u: str) -> str:
    limit, whole = graph.constant(STATE_LIMIT), graph.constant(2 * STATE_LIMIT)
    above = graph.node("Where", graph.node("Greater", u, limit), graph.node("Sub", u, whole), u)
    below = graph.node("LessOrEqual", above, graph.constant(-STATE_LIMIT))
    return graph.node("Where", below, graph.node("Add", above, whole), above)


def _shifted(values: IntArray, shape: tuple[int, ...]) -> IntArray:
    """`values << 6`, broadcastable to `[B, *shape]`."""
    return _channelwise(np.asarray(values, dtype=np.int64) << FRACTION_BITS, shape)


def _channelwise(values: IntArray, shape: tuple[int, ...]) -> IntArray:
    """`values`, which are 0-d, `[C]` or `shape`, broadcastable to `[B, *shape]`."""
    array = np.asarray(values, dtype=np.int64)
    return array.reshape(-1, *[1] * (len(shape) - 1)) if array.ndim == 1 else array
