"""The simulator against a neuron-by-neuron integer loop that shares no code with it."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.export.network import Connection, InputSpec, IntArray, LoihiNetwork, Population
from neurokd.hardware.simulator import simulate

Array = npt.NDArray[np.int64]
WRAP, LIMIT = 1 << 23, (1 << 23) - 1


def slow_product(connection: Connection, x: Array, shape: tuple[int, ...]) -> Array:
    """The synaptic sum of one sample `x`, by loops over outputs."""
    weight = connection.weight.astype(np.int64)
    if weight.ndim == 2:
        return (weight @ x.reshape(-1)).reshape(shape)
    (sh, sw), (ph, pw), (dh, dw) = connection.stride, connection.padding, connection.dilation
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw)))
    per_group, outputs = weight.shape[1], weight.shape[0] // connection.groups
    result = np.zeros(shape, dtype=np.int64)
    for o, i, j in np.ndindex(*shape):
        first = o // outputs * per_group
        window = padded[first : first + per_group, i * sh :: dh, j * sw :: dw]
        result[o, i, j] = (window[:, : weight.shape[2], : weight.shape[3]] * weight[o]).sum()
    return (result + WRAP) % (2 * WRAP) - WRAP  # lava/proc/conv/utils.py: the sum wraps at 24 bits


def slow_decay(x: Array, decay: int) -> Array:
    """Truncation toward zero."""
    product = x * (4096 - decay)
    return np.asarray(np.sign(product) * (np.abs(product) >> 12))


def per_neuron(values: IntArray | None, shape: tuple[int, ...]) -> Array:
    """`values` for every neuron of `shape`."""
    array = np.asarray(0 if values is None else values, dtype=np.int64)
    return np.broadcast_to(array.reshape(-1, *[1] * (len(shape) - 1)) if array.ndim == 1 else array, shape)


def slow_run(network: LoihiNetwork, inputs: IntArray, pipelined: bool) -> dict[str, list[list[tuple[Array, ...]]]]:
    """`(s, u, v, clipped)` by population, sample and step."""
    result: dict[str, list[list[tuple[Array, ...]]]] = {p.name: [] for p in network.populations}
    for sample in range(inputs.shape[1]):
        before = {p.name: np.zeros(p.shape, dtype=np.int64) for p in network.populations}
        before["input"] = np.zeros(network.input.shape, dtype=np.int64)
        state = {p.name: (before[p.name], per_neuron(p.initial, p.shape)) for p in network.populations}
        steps: dict[str, list[tuple[Array, ...]]] = {p.name: [] for p in network.populations}
        for t in range(network.timesteps):
            x = inputs[t if len(inputs) > 1 else 0, sample].astype(np.int64)
            now = {"input": (x != 0).astype(np.int64) if network.input.kind == "spikes" else x}
            for p in network.populations:
                a = np.zeros(p.shape, dtype=np.int64)
                for connection in network.incoming(p.name):
                    a = a + slow_product(connection, (before if pipelined else now)[connection.source], p.shape)
                u = slow_decay(state[p.name][0], p.decay_u) + a * 64
                u = np.where(u > WRAP, u - 2 * WRAP, np.where(u <= -WRAP, u + 2 * WRAP, u))
                driven = network.input.kind == "bias" and p is network.populations[0]
                bias = x if driven else per_neuron(p.bias, p.shape)
                v = slow_decay(state[p.name][1], p.decay_v) + u + bias * 64
                clipped = np.abs(v) > LIMIT
                v = v.clip(-LIMIT, LIMIT)
                threshold = per_neuron(p.threshold, p.shape) * 64
                s = v >= threshold if p.reset == "soft" else v > threshold
                v = np.where(s, v - threshold if p.reset == "soft" else 0, v)
                state[p.name], now[p.name] = (u, v), s.astype(np.int64)
                steps[p.name].append((s.astype(np.int64), u, v, clipped))
            before = now
        for name, values in steps.items():
            result[name].append(values)
    return result


def stacked(runs: list[list[tuple[Array, ...]]], index: int) -> Array:
    """`[T, B, *shape]`."""
    return np.stack([np.stack([step[index] for step in run]) for run in runs], axis=1)


def residual_network(rng: np.random.Generator, kind: Any, weights: int, steps: int) -> LoihiNetwork:
    """A convolution, a residual branch with a 1x1 skip, two dense layers; lopsided so that no axis can be mixed up."""

    def even(*shape: int) -> IntArray:
        return rng.integers(-weights, weights + 1, shape) * 2

    def population(name: str, shape: tuple[int, ...], bare: bool = False) -> Population:
        biases = [None, rng.integers(-400, 600, shape[0]), rng.integers(-400, 600, shape)]
        thresholds = [np.array(rng.integers(1, 900)), rng.integers(1, 900, shape[0]), np.array(131071)]
        decay_u, decay_v = (int(rng.choice([0, 1, 1000, 2048, 3072, 4096, 4096])) for _ in range(2))
        bias = None if bare else biases[rng.integers(3)]
        reset: Any = str(rng.choice(["hard", "soft"]))
        initials = [np.array(0), rng.integers(-9000, 30000, shape[0]), np.array(rng.choice([-LIMIT, LIMIT, 32000]))]
        initial = initials[rng.integers(3)]
        return Population(name, shape, thresholds[rng.integers(3)], decay_u, decay_v, bias, reset, initial)

    first = [] if kind == "bias" else [Connection("input", "a", even(4, 2, 3, 2), padding=(1, 0))]
    return LoihiNetwork(
        InputSpec((4, 6, 5) if kind == "bias" else (2, 6, 6), kind),
        (
            population("a", (4, 6, 5), bare=kind == "bias"),
            population("b", (6, 3, 3)),
            population("c", (6, 3, 3)),
            population("d", (7,)),
            population("e", (5,)),
        ),
        (
            *first,
            Connection("a", "b", even(6, 2, 3, 3), stride=(2, 2), padding=(1, 1), groups=2),
            Connection("b", "c", even(6, 6, 3, 2), padding=(2, 1), dilation=(2, 2)),
            Connection("a", "c", even(6, 4, 1, 1), stride=(2, 2)),
            Connection("c", "d", even(7, 54)),
            Connection("a", "d", even(7, 120)),
            Connection("d", "e", even(5, 7)),
        ),
        steps,
        readout="e",
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["spikes", "graded", "bias"]),
    weights=st.sampled_from([20, 127, 3000]),  # exact in float32; within 8 bits; wrapping, in float64
    largest=st.sampled_from([1, 255, 30000]),
    steps=st.integers(1, 5),
    static=st.booleans(),
    pipelined=st.booleans(),
)
def test_equals_the_slow_loop(
    seed: int, kind: str, weights: int, largest: int, steps: int, static: bool, pipelined: bool
) -> None:
    rng = np.random.default_rng(seed)
    network = residual_network(rng, kind, weights, steps)
    inputs = rng.integers(-largest, largest + 1, (1 if static else steps, 2, *network.input.shape))
    expected = slow_run(network, inputs, pipelined)
    for state in (False, True):
        trace = simulate(network, inputs, state=state, pipelined=pipelined, batch_size=1)
        for name, runs in expected.items():
            assert np.array_equal(trace.spikes[name], stacked(runs, 0)), name
            assert trace.saturated[name] == stacked(runs, 3).sum(), name
            if state:
                assert np.array_equal(trace.u[name], stacked(runs, 1)), name
                assert np.array_equal(trace.v[name], stacked(runs, 2)), name
        assert trace.readout is not None
        assert np.array_equal(trace.readout, stacked(expected["e"], 2) >> 6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), batch_size=st.integers(1, 9))
def test_batches_and_counts_change_nothing(seed: int, batch_size: int) -> None:
    rng = np.random.default_rng(seed)
    network = residual_network(rng, "graded", 60, 3)
    inputs = rng.integers(0, 256, (1, 7, *network.input.shape))
    whole = simulate(network, inputs)
    parts = simulate(network, inputs, batch_size=batch_size, record="counts")
    assert not parts.spikes
    assert whole.readout is not None
    assert parts.readout is not None
    assert np.array_equal(parts.readout, whole.readout)
    for name, spikes in whole.spikes.items():
        assert np.array_equal(parts.counts[name], spikes.sum(axis=1)), name
        assert np.array_equal(whole.counts[name], spikes.sum(axis=1)), name
    assert np.array_equal(parts.counts["input"], np.repeat((inputs != 0).sum(axis=1), 3, axis=0))


def test_a_static_image_is_the_image_at_every_step() -> None:
    rng = np.random.default_rng(0)
    network = residual_network(rng, "graded", 60, 4)
    image = rng.integers(0, 256, (1, 3, *network.input.shape))
    once, repeated = simulate(network, image), simulate(network, np.repeat(image, 4, axis=0))
    for name in once.spikes:
        assert np.array_equal(once.spikes[name], repeated.spikes[name])


def test_arguments_are_left_alone() -> None:
    rng = np.random.default_rng(0)
    network = residual_network(rng, "graded", 60, 2)
    inputs = rng.integers(0, 256, (1, 3, *network.input.shape))
    weights, kept = [c.weight.copy() for c in network.connections], inputs.copy()
    simulate(network, inputs)
    assert np.array_equal(inputs, kept)
    assert all(np.array_equal(c.weight, w) for c, w in zip(network.connections, weights, strict=True))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((1, 1, 2, 6, 6)), "dtype float64, allowed are integers"),
        (np.zeros((1, 1, 2, 6, 5), dtype=int), "needed is"),
        (np.zeros((1, 0, 2, 6, 6), dtype=int), "B >= 1"),
        (np.zeros((3, 1, 2, 6, 6), dtype=int), "3 steps, allowed are 1"),
    ],
)
def test_wrong_inputs_are_refused(inputs: IntArray, message: str) -> None:
    network = residual_network(np.random.default_rng(0), "graded", 60, 2)
    with pytest.raises(NeurokdError, match=message):
        simulate(network, inputs)


def test_what_no_float_can_hold_is_refused() -> None:
    neuron = Population("n", (1,), np.array(1))
    network = LoihiNetwork(InputSpec((1,), "graded"), (neuron,), (Connection("input", "n", np.array([[1 << 20]])),), 1)
    with pytest.raises(NeurokdError, match="connection 'input' -> 'n': the synaptic sum can reach"):
        simulate(network, np.array([[[1 << 20]]]))
    endless = dataclasses.replace(network, populations=(dataclasses.replace(neuron, decay_u=0),), timesteps=1 << 12)
    with pytest.raises(NeurokdError, match="population 'n': the current u can reach"):
        simulate(endless, np.array([[[1 << 12]]]))
