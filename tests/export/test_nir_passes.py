"""Every rewrite of NIR keeps the function: the graph before and after it, in the float evaluator, bit for bit."""

from collections.abc import Callable

import nir
import numpy as np
import pytest
import torch

from neurokd.errors import NeurokdError
from neurokd.export.nir_graphs.common import common_nodes
from neurokd.export.nir_graphs.run_float import run_float
from neurokd.export.passes.conv1d_to_conv2d import conv1d_to_conv2d
from neurokd.export.passes.count_spikes import count_spikes
from neurokd.export.passes.flatten_subgraphs import flatten_subgraphs
from neurokd.export.passes.linear_to_affine import linear_to_affine
from neurokd.export.passes.shape_input import shape_input
from neurokd.export.passes.sum_pool_to_average import sum_pool_to_average
from neurokd.export.passes.threshold_to_lif import threshold_to_lif

from .nir_graphs import DT, affine, chain, li, lif

GENERATOR = np.random.default_rng(0)
WEIGHT = GENERATOR.normal(size=(3, 2, 3))
CONV1D = nir.Conv1d(9, WEIGHT, 2, 1, 1, 1, np.array([0.1, -0.2, 0.3]))
SIGNAL = torch.from_numpy(GENERATOR.random((4, 6, 2, 9)))
VECTOR = torch.from_numpy(GENERATOR.random((4, 6, 4)))
IMAGE = torch.from_numpy(GENERATOR.random((4, 6, 2, 6, 6)))


def same(before: nir.NIRGraph, after: nir.NIRGraph, x: torch.Tensor, y: torch.Tensor | None = None) -> None:
    """Equal answers at every step, and equal spikes of every population that has its name in both."""
    wanted, got = run_float(before, x), run_float(after, x if y is None else y)
    assert wanted.answer.abs().max() > 0.1
    assert torch.equal(got.answer.flatten(2), wanted.answer.flatten(2))
    for name, spikes in wanted.spikes.items():
        assert spikes.any() and torch.equal(got.spikes[name].flatten(2), spikes.flatten(2))


def kinds(graph: nir.NIRGraph) -> list[str]:
    return [type(node).__name__ for node in graph.nodes.values()]


def test_linear_is_affine_with_zeros() -> None:
    before = chain(nir.Linear(affine(3, 4).weight), lif(3), nir.Linear(affine(2, 3).weight), timesteps=4)
    after = linear_to_affine(before)
    assert kinds(after) == ["Input", "Affine", "LIF", "Affine", "Output"]
    same(before, after, VECTOR)


@pytest.mark.parametrize(("start", "end"), [(0, -1), (0, 1), (1, -1)])
def test_conv1d_is_conv2d_of_height_1(start: int, end: int) -> None:
    flatten = nir.Flatten({"input": np.array([3, 5])}, start, end)
    before = chain(CONV1D, lif((3, 5)), nir.Scale(np.full((3, 5), 0.5)), flatten, affine(4, 15), shape=(2, 9))
    before = nir.NIRGraph(before.nodes, before.edges, metadata={"dt": DT, "timesteps": 4}, type_check=False)
    after = conv1d_to_conv2d(before)
    assert after.nodes["0"].weight.shape == (3, 2, 1, 3) and tuple(after.nodes["in"].input_type["input"]) == (2, 1, 9)
    assert after.nodes["1"].tau.shape == (3, 1, 5) and after.nodes["4"].weight.shape == (4, 15)
    same(before, after, SIGNAL, SIGNAL.unsqueeze(3))
    common_nodes(before)


@pytest.mark.parametrize("kernel", [np.array([2, 3]), np.array([3, 2]), np.array(2)], ids=str)
def test_a_sum_is_a_scaled_mean(kernel: np.ndarray) -> None:  # type: ignore[type-arg]
    pooled = 2 * np.prod([6 // size for size in np.broadcast_to(kernel, 2)])
    pool = nir.SumPool2d(kernel, kernel, np.array(0))
    before = chain(pool, nir.Flatten(None, 0), affine(3, pooled), shape=(2, 6, 6), timesteps=4)
    after = sum_pool_to_average(before)
    assert kinds(after).count("Scale") == 1 and "SumPool2d" not in kinds(after)
    wanted, got = run_float(before, IMAGE).answer, run_float(after, IMAGE).answer
    assert torch.allclose(wanted, got, rtol=1e-12, atol=1e-12) and wanted.abs().max() > 1.0


def test_a_threshold_is_a_lif_that_forgets_everything() -> None:
    before = chain(affine(12, 4), nir.Threshold(np.linspace(-0.5, 1.0, 12)), affine(3, 12), timesteps=4)
    after = threshold_to_lif(before, DT)
    assert kinds(after)[2] == "LIF"
    same(before, after, VECTOR)


def test_spikes_at_the_end_are_counted() -> None:
    before = chain(affine(12, 4), lif(12), affine(3, 12), lif(3), timesteps=4)
    after = count_spikes(before)
    assert kinds(after)[-1] == "Affine" and after.edges[-1] == ("3.counts", "out")
    same(before, after, VECTOR)
    for other in (chain(affine(3, 4)), chain(affine(3, 4), li(3))):
        assert count_spikes(other) is other


def _nested(inner: nir.NIRGraph) -> nir.NIRGraph:
    graph = chain(inner, affine(2, 3), timesteps=4)
    graph.nodes["a.b"] = graph.nodes.pop("1")
    return nir.NIRGraph(
        graph.nodes, [("in", "0"), ("0", "a.b"), ("a.b", "out")], metadata=graph.metadata, type_check=False
    )


def test_graphs_within_graphs_are_flattened() -> None:
    flat = chain(affine(3, 4), lif(3), affine(2, 3), timesteps=4)
    inner = chain(affine(3, 4), chain(lif(3), shape=(3,)))
    after = flatten_subgraphs(_nested(inner))
    assert set(after.nodes) == {"in", "0.0", "0.1.0", "a.b", "out"}
    assert set(after.edges) == {("in", "0.0"), ("0.0", "0.1.0"), ("0.1.0", "a.b"), ("a.b", "out")}
    assert torch.equal(run_float(after, VECTOR).answer, run_float(flat, VECTOR).answer)


def test_a_graph_that_passes_its_input_on_is_a_wire() -> None:
    wire = nir.NIRGraph({"x": nir.Input(np.array([4])), "y": nir.Output(np.array([4]))}, [("x", "y")], type_check=False)
    assert set(flatten_subgraphs(_nested(wire)).edges) == {("in", "a.b"), ("a.b", "out")}


def test_a_name_that_is_taken_is_refused() -> None:
    graph = chain(chain(affine(3, 4)), affine(2, 3))
    graph.nodes["0.0"] = graph.nodes.pop("1")
    with pytest.raises(NeurokdError, match=r"layer '0\.0': the name is taken"):
        flatten_subgraphs(nir.NIRGraph(graph.nodes, [("in", "0"), ("0", "0.0"), ("0.0", "out")], type_check=False))


@pytest.mark.parametrize(("shape", "found"), [((1, 2, 2), (1, 2, 2)), (None, (4, 1, 1))])
def test_a_vector_is_read_from_an_image(shape: tuple[int, ...] | None, found: tuple[int, ...]) -> None:
    before = chain(affine(3, 4), timesteps=4)
    after = shape_input(before, shape)
    assert tuple(after.nodes["in"].input_type["input"]) == found
    same(before, after, VECTOR, VECTOR.unflatten(2, found))


@pytest.mark.parametrize("found", [(1, 4), (1, 2, 6, 6)])
def test_a_batch_of_one_is_no_axis(found: tuple[int, ...]) -> None:
    after = shape_input(chain(nir.Flatten(None, 0), shape=found), None)
    assert tuple(after.nodes["in"].input_type["input"]) == {2: (4, 1, 1), 4: (2, 6, 6)}[len(found)]


@pytest.mark.parametrize(("have", "data"), [((4,), (1, 2, 3)), ((2, 6, 6), (1, 6, 12))])
def test_an_image_that_does_not_fit_is_refused(have: tuple[int, ...], data: tuple[int, ...]) -> None:
    with pytest.raises(NeurokdError, match=r"layer 'in': an input of shape .* the data are"):
        shape_input(chain(affine(3, 4), shape=have), data)


@pytest.mark.parametrize("found", [(10, 4), (3, 2, 6, 6)])
def test_an_axis_of_time_is_refused(found: tuple[int, ...]) -> None:
    with pytest.raises(
        NeurokdError, match=r"layer 'in': an input of shape .* without axes of time or batch; with sinabs"
    ):
        shape_input(chain(affine(3, 4), shape=found), None)


PASSES: list[Callable[[nir.NIRGraph], nir.NIRGraph]] = [
    linear_to_affine, conv1d_to_conv2d, sum_pool_to_average, flatten_subgraphs, lambda g: threshold_to_lif(g, DT),
]  # fmt: skip


def test_passes_leave_their_argument_alone() -> None:
    graph = chain(
        CONV1D, nir.Threshold(np.ones((3, 5))), nir.Flatten(None, 0), nir.Linear(np.ones((2, 15))), shape=(2, 9)
    )
    nodes, edges = dict(graph.nodes), list(graph.edges)
    shapes = {name: node.input_type["input"] for name, node in nodes.items()}
    for rewrite in [*PASSES, common_nodes]:
        rewrite(graph)
    assert graph.nodes == nodes and graph.edges == edges
    assert all(node.input_type["input"] is shapes[name] for name, node in graph.nodes.items())
