"""Operations counted pair by pair in plain loops, and cases worked out by hand."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.export.network import Connection, InputSpec, IntArray, LoihiNetwork, Population
from neurokd.hardware.activity import dense_operations, measure_activity
from neurokd.hardware.simulator import simulate
from neurokd.hardware.trace import Trace


def pairs(connection: Connection, x: IntArray, shape: tuple[int, ...]) -> int:
    """Pairs of a non-zero input and a non-zero weight, found one by one."""
    if connection.kind == "dense":
        flat = x.reshape(-1)
        return sum(int(connection.weight[o, i] != 0 and flat[i] != 0) for o, i in np.ndindex(*connection.weight.shape))
    found, (outputs, inputs, height, width) = 0, connection.weight.shape
    for o, i, j in np.ndindex(*shape):
        group = o // (outputs // connection.groups)
        for c, k, m in np.ndindex(inputs, height, width):
            row = i * connection.stride[0] + k * connection.dilation[0] - connection.padding[0]
            column = j * connection.stride[1] + m * connection.dilation[1] - connection.padding[1]
            inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
            if inside and x[group * inputs + c, row, column] != 0 and connection.weight[o, c, k, m] != 0:
                found += 1
    return found


def sparse_network(rng: np.random.Generator) -> LoihiNetwork:
    """Two convolutions, one with groups and gaps, and a dense layer; a third of the weights are zero."""

    def weight(*shape: int) -> IntArray:
        return rng.integers(-1, 2, shape) * rng.integers(1, 60, shape) * 2

    return LoihiNetwork(
        InputSpec((2, 5, 4), "graded"),
        (
            Population("a", (4, 3, 2), np.array(300), decay_v=1024, bias=rng.integers(0, 90, 4)),
            Population("b", (2, 3, 2), np.array(20), bias=rng.integers(0, 30, 2)),
            Population("c", (3,), np.array(50)),
        ),
        (
            Connection("input", "a", weight(4, 1, 3, 2), stride=(2, 2), padding=(1, 0), groups=2),
            Connection("a", "b", weight(2, 4, 3, 2), padding=(2, 1), dilation=(2, 2)),
            Connection("b", "c", weight(3, 12)),
        ),
        timesteps=3,
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_equals_counting_pair_by_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = sparse_network(rng)
    inputs = rng.integers(0, 4, (3, 2, 2, 5, 4))
    trace = simulate(network, inputs)
    work = measure_activity(network, trace)
    signals = {"input": inputs, **trace.spikes}
    for layer, connection in zip(work.layers, network.connections, strict=True):
        shape = network.population(connection.target).shape
        expected = sum(pairs(connection, signals[connection.source][t, b], shape) for t in range(3) for b in range(2))
        assert layer.effective_macs + layer.effective_acs == expected / 2
        assert layer.spikes == trace.spikes[layer.name].sum() / 2
        ones = Connection(**{**vars(connection), "weight": np.ones_like(connection.weight)})
        assert layer.dense_operations == 3 * pairs(ones, np.ones(signals[connection.source].shape[2:], int), shape)
    assert work.layers[0].effective_acs == 0
    assert work.layers[1].effective_macs == 0


def test_a_dense_layer_by_hand() -> None:
    weight = np.array([[2, 0, 4], [0, 0, 6]])
    network = LoihiNetwork(
        InputSpec((3,), "graded"),
        (Population("out", (2,), np.array(100)),),
        (Connection("input", "out", weight),),
        timesteps=2,
    )
    image = np.array([[[0, 9, 200], [5, 5, 5]]])  # 2 pairs, then 3
    work = measure_activity(network, simulate(network, image, record="counts"))
    layer = work.layers[0]
    assert (work.macs, work.acs, work.macs_once) == (2 * 2.5, 0, 2.5)
    assert (layer.synapses, layer.dense_operations, layer.connection_sparsity) == (6, 12, 0.5)
    # sample 0: 800 and 1200 exceed 100 at both steps; sample 1: 30 and 30, then 45 and 45
    assert (layer.spikes, layer.firing_rate, layer.neuron_updates) == (2.0, 0.5, 4)


@pytest.mark.parametrize(
    ("kind", "high", "multiplies"), [("graded", 2, True), ("graded", 1, False), ("spikes", 2, False)]
)
def test_only_inputs_beyond_one_multiply(kind: str, high: int, multiplies: bool) -> None:
    network = LoihiNetwork(
        InputSpec((3,), kind),  # type: ignore[arg-type]
        (Population("out", (1,), np.array(100)),),
        (Connection("input", "out", np.array([[2, 4, 6]])),),
        timesteps=1,
    )
    work = measure_activity(network, simulate(network, np.array([[[0, 1, high]]])))
    assert (work.macs, work.acs) == ((2, 0) if multiplies else (0, 2))


def test_padding_is_no_input() -> None:
    connection = Connection("input", "a", np.ones((1, 1, 3, 3), dtype=int), padding=(1, 1))
    assert dense_operations(connection, (1, 2, 2)) == 4 * 4


def test_missing_counts_are_refused() -> None:
    network = sparse_network(np.random.default_rng(0))
    counts = {"input": np.zeros((3, 2, 5, 4), dtype=np.int64)}
    with pytest.raises(NeurokdError, match="counts of 'a' have shape None"):
        measure_activity(network, Trace("integer", 3, 1, counts))


def test_json_holds_layers_and_totals() -> None:
    network = sparse_network(np.random.default_rng(1))
    work = measure_activity(network, simulate(network, np.full((1, 1, 2, 5, 4), 7)))
    found = json.loads(json.dumps(work.to_json()))
    assert [layer["name"] for layer in found["layers"]] == ["a", "b", "c"]
    assert found["totals"]["acs"] == sum(layer["effective_acs"] for layer in found["layers"])
    assert found["totals"]["firing_rate"] == work.spikes / work.neuron_updates
