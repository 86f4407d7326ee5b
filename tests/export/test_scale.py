"""One scale for all synapses of a population, by hand; fewer bits; and the clip of every layer."""

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.export.limits import check_limits
from neurokd.export.network import CURRENT_LIMIT
from neurokd.export.quantization.float_populations import FloatPopulation, FloatSynapse, float_populations
from neurokd.export.quantization.integers import levels, round_weights, to_integers, weight_step
from neurokd.export.quantization.quantize import quantize
from neurokd.export.quantization.scale import choose_scale
from neurokd.hardware.simulator import simulate

from .nir_graphs import affine, lif

META = {"dt": 1e-3, "timesteps": 3, "input_maximum": 1, "input_unit": 1.0}


def _residual(**metadata: float) -> nir.NIRGraph:
    """`in -> a -> n1 -> b -> n2 -> out`, and `n1 -> c -> n2`: two synapses meet in n2."""
    nodes = {
        "in": nir.Input(np.array([4, 1, 1])), "flat": nir.Flatten({"input": np.array([4, 1, 1])}, 0),
        "a": affine(3, 4, seed=1), "n1": lif((3,)), "b": affine(3, 3, seed=2), "c": affine(3, 3, seed=3),
        "n2": lif((3,)), "out": affine(2, 3, seed=4), "end": nir.Output(np.array([2])),
    }  # fmt: skip
    edges = [("in", "flat"), ("flat", "a"), ("a", "n1"), ("n1", "b"), ("n1", "c"), ("b", "n2"), ("c", "n2"),
             ("n2", "out"), ("out", "end")]  # fmt: skip
    return nir.NIRGraph(nodes, edges, metadata=META | metadata, type_check=False)


def _population(*weights: list[list[float]], threshold: float | None = 1.0, input_max: int = 1) -> FloatPopulation:
    synapses = tuple(
        FloatSynapse(f"w{index}", f"p{index}", (len(weight[0]),), input_max, np.array(weight))
        for index, weight in enumerate(weights)
    )
    bar = None if threshold is None else np.array(threshold)
    outputs = len(weights[0])
    return FloatPopulation("n", (outputs,), synapses, np.zeros(outputs), bar, 4096, 2048)


def test_all_synapses_of_a_population_share_one_scale() -> None:
    """254 / 2 = 127: the largest weight of both synapses decides, and every number is rounded at 127."""
    population = _population([[0.5, -1.0]], [[2.0, 0.25]])
    scale = choose_scale(population)
    assert (scale.scale, scale.limited_by, scale.clipped_fraction) == (127.0, "weight bits", 0.0)
    neurons, (first, second) = to_integers(population, scale)
    assert first.weight.tolist() == [[64, -128]]  # of 63.5 and -127: a tie goes to -64 twice
    assert second.weight.tolist() == [[254, 32]]
    assert int(neurons.threshold) == 127
    assert [(one.source, one.target) for one in (first, second)] == [("p0", "n"), ("p1", "n")]


def test_currents_of_all_synapses_add_up() -> None:
    """Inputs of 255 through 300 weights of 1 in each synapse: 2 * 255 * 300 * scale must stay below 2^17."""
    population = _population([[1.0] * 300], [[1.0] * 300], input_max=255)
    scale = choose_scale(population)
    assert scale.limited_by == "current"
    assert scale.scale <= (CURRENT_LIMIT - 1) / (2 * 255 * 300) < 2 * scale.scale
    alone = choose_scale(_population([[1.0] * 300], input_max=255))
    assert alone.scale > scale.scale


def test_a_read_out_counts_its_bias_and_all_steps() -> None:
    population = _population([[1.0] * 600], [[-1.0] * 600], threshold=None)
    population = FloatPopulation("n", (1,), population.synapses, np.array([100.0]), None, 4096, 0)
    scale = choose_scale(population, timesteps=4)
    neurons, connections = to_integers(population, scale)
    assert neurons.bias is not None
    sums = [int(connection.weight.sum()) for connection in connections]
    assert 4 * (max(map(abs, sums)) + int(neurons.bias[0])) < CURRENT_LIMIT


@pytest.mark.parametrize(
    ("bits", "step", "largest"), [(8, 2, 254), (7, 4, 252), (4, 32, 224), (3, 64, 192), (2, 128, 128)]
)
def test_fewer_bits_are_wider_steps_of_the_same_range(bits: int, step: int, largest: int) -> None:
    assert (weight_step(bits), levels(bits) * step) == (step, largest)
    weight = round_weights(np.linspace(-400, 400, 4001), bits)
    assert sorted(set(weight.tolist())) == list(range(-largest, largest + 1, step))


@settings(deadline=None, max_examples=25)
@given(bits=st.integers(2, 8), clip=st.sampled_from([0.3, 0.7, 1.0]), maximum=st.sampled_from([1, 255]))
def test_a_graph_at_any_number_of_bits_stays_within_the_limits(bits: int, clip: float, maximum: int) -> None:
    quantized = quantize(_residual(input_maximum=maximum, input_unit=1.0 / maximum), clip=clip, bits=bits)
    assert check_limits(quantized.network) == []
    planes = {scale.name for scale in quantized.scales if scale.plane}
    steps = {scale.name: scale.step for scale in quantized.scales}
    for connection in quantized.network.connections:
        weight = connection.weight[:, :-1] if connection.target in planes else connection.weight
        step = steps[connection.target]
        assert not (weight % step).any() and np.abs(weight).max() <= levels(bits) * step
    assert all(scale.bits == bits and scale.clip == clip for scale in quantized.scales)


@pytest.mark.parametrize(("peak", "step"), [(7 * 32, 32), (7 * 16 + 1, 32), (7 * 16, 16), (14.0, 2), (0.5, 2)])
def test_a_layer_that_reaches_less_has_finer_steps(peak: float, step: int) -> None:
    assert weight_step(4, peak) == step


def test_two_synapses_become_two_connections_whose_currents_add_up() -> None:
    quantized = quantize(_residual())
    network = quantized.network
    wired = [(one.source, one.target) for one in network.connections]
    assert wired == [("input", "n1"), ("n1", "n2"), ("n1", "n2"), ("n2", "out")]
    assert network.readout == "out" and [one.name for one in network.populations] == ["n1", "n2", "out"]
    pixels = np.random.default_rng(0).integers(0, 2, (16, 4, 1, 1))
    trace = simulate(network, network.input.encode(pixels), state=True)
    assert trace.u is not None
    first, second = (one.weight for one in network.incoming("n2"))
    current = trace.spikes["n1"].astype(np.int64) @ (first + second).T
    assert current.any() and np.array_equal(trace.u["n2"], current << 6)


def test_a_clip_for_one_layer_leaves_the_others_as_they_are() -> None:
    plain = {scale.name: scale for scale in quantize(_residual()).scales}
    clipped = {scale.name: scale for scale in quantize(_residual(), clip={"n2": 0.5}).scales}
    assert clipped["n2"].scale == pytest.approx(2 * plain["n2"].scale) and clipped["n2"].clipped_fraction > 0
    assert clipped["n1"] == plain["n1"] and clipped["out"] == plain["out"]
    assert quantize(_residual(), clip={}).scales == quantize(_residual()).scales


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clip": 0.0}, "layer 'n1': clip is 0, allowed is above 0 and at most 1"),
        ({"clip": 1.5}, "layer 'n1': clip is 1.5"),
        ({"clip": {"n3": 0.5}}, "clip: the graph has no population 'n3'; it has 'n1', 'n2', 'out'"),
        ({"bits": 1}, "bits: got 1, allowed are whole numbers from 2 to 8"),
        ({"bits": 9}, "bits: got 9"),
        ({"bits": 4.0}, "bits: got 4.0"),
        ({"bits": True}, "bits: got True"),
    ],
)
def test_other_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        quantize(_residual(), **wrong)  # type: ignore[arg-type]


def _changed(edges: list[tuple[str, str]], **nodes: nir.NIRNode) -> nir.NIRGraph:
    graph = _residual()
    edges = [*graph.edges, *edges]
    return nir.NIRGraph({**graph.nodes, **nodes}, edges, metadata=graph.metadata, type_check=False)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (_changed([("n2", "b")]), "layers .*'b', 'end', 'n2', 'out'.*: in a cycle or behind one"),
        (_changed([("n1", "out")]), "layer 'out': reads the sum of 'n2' and 'n1'; add before the neurons, not after"),
        (_changed([("n1", "n2")]), "layer 'n2': reads 'n1' without a convolution or linear layer between"),
        (_changed([("a", "b")]), "layer 'b': reads the sum of 'n1' and 'a'"),
        (_changed([("n1", "wide"), ("wide", "n2")], wide=affine(4, 3)), r"layer 'n2': sums .* 'wide' \(4,\); give all"),
        (_changed([("n1", "dead")], dead=affine(4, 3)), r"layers \['dead'\]: not on the way from input to output"),
        (_changed([], alone=affine(4, 3)), r"layers \['alone'\]: not on the way"),
        (_changed([("in2", "b")], in2=nir.Input(np.array([3]))), "graph: 2 inputs, allowed is one"),
        (_changed([("out", "e2")], e2=nir.Output(np.array([2]))), "graph: 2 outputs, allowed is one"),
    ],
)
def test_a_graph_that_is_no_network_is_refused_by_name(graph: nir.NIRGraph, message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        float_populations(graph, 1e-3)


def test_layers_that_need_no_constant_plane_pass_it_by() -> None:
    """The bias of n1 exceeds 13 bits beside pixels; m1 and m2 read the same image, one of them in groups."""
    shape, image = (2, 4, 5), (2, 4, 5)
    generator = np.random.default_rng(0)

    def conv(groups: int, bias: float) -> nir.Conv2d:
        weight = generator.normal(0.0, 1.0, (2, 2 // groups, 3, 3))
        node = nir.Conv2d((4, 5), weight, 1, 1, 1, groups, np.full(2, bias))
        node.output_type = {"output": np.array(image)}
        return node

    head = nir.Affine(generator.normal(0.0, 1.0, (3, 40)), np.zeros(3))
    nodes = {"in": nir.Input(np.array(image)), "a": conv(1, 40.0), "b": conv(2, 0.0), "c": conv(1, 0.0),
             "n1": lif(shape, threshold=20.0), "m1": lif(shape), "m2": lif(shape), "d": conv(1, 0.0), "e": conv(1, 0.0),
             "f": conv(1, 0.0), "n2": lif(shape), "flat": nir.Flatten({"input": np.array(image)}, 0), "out": head,
             "end": nir.Output(np.array([3]))}  # fmt: skip
    edges = [
        *(("in", "a"), ("in", "b"), ("in", "c"), ("a", "n1"), ("b", "m1"), ("c", "m2"), ("n1", "d"), ("m1", "e")),
        *(("m2", "f"), ("d", "n2"), ("e", "n2"), ("f", "n2"), ("n2", "flat"), ("flat", "out"), ("out", "end")),
    ]
    meta = {"dt": 1e-3, "timesteps": 2, "input_maximum": 255, "input_unit": 1 / 255}
    quantized = quantize(nir.NIRGraph(nodes, edges, metadata=meta, type_check=False))
    assert {scale.name: scale.plane for scale in quantized.scales if scale.name in ("n1", "m1", "m2")} == {
        "n1": True, "m1": False, "m2": False,
    }  # fmt: skip
    network = quantized.network
    assert check_limits(network) == [] and network.input.shape == (3, 4, 5)
    pixels = generator.integers(0, 256, (4, *image))
    trace = simulate(network, network.input.encode(pixels), state=True)
    for name, layer, groups in (("m1", "b", 2), ("m2", "c", 1)):
        (scale,) = (one.scale for one in quantized.scales if one.name == name)
        weight = torch.from_numpy(round_weights(np.asarray(nodes[layer].weight) / 255 * scale))
        current = torch.nn.functional.conv2d(torch.from_numpy(pixels), weight, padding=1, groups=groups)
        assert trace.u is not None and np.array_equal(trace.u[name][0], current.numpy() << 6)
