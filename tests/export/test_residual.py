"""Residual networks keep their function on the way to integers: every spike of the float graph is the student's."""

from collections.abc import Callable

import nir
import numpy as np
import pytest
import torch
from torch import nn

from neurokd.conversion import convert, to_qcfs
from neurokd.errors import NeurokdError
from neurokd.export.limits import check_limits
from neurokd.export.lower import lower
from neurokd.export.nir_graphs.run_float import FloatTrace, run_float
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.export.passes.weigh_shortcuts import weigh_shortcuts
from neurokd.export.quantization.quantize import quantize
from neurokd.hardware.simulator import simulate
from neurokd.models import build_model
from neurokd.neurons import LIF
from neurokd.spiking import LIFNeurons, SpikingNetwork, to_spiking

from .nir_graphs import affine, chain, lif

SHAPE = (2, 8, 6)
Join = Callable[["Block", torch.Tensor], torch.Tensor]


class Block(nn.Module):
    """A stem, branches that `join` adds up, neurons behind them, and a read-out."""

    def __init__(self, join: Join) -> None:
        super().__init__()
        self.join = join
        self.stem, self.norm0, self.relu0 = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.conv, self.norm1 = nn.Conv2d(4, 4, (3, 1), padding=(1, 0), bias=False), nn.BatchNorm2d(4)
        self.strided, self.project = nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.Conv2d(4, 6, 1, stride=2)
        self.halved, self.down, self.mix = nn.Conv2d(4, 4, 2, stride=2), nn.Conv2d(4, 6, 1), nn.Conv2d(4, 4, 1)
        self.shift = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1))
        self.norm, self.pool, self.identity = nn.BatchNorm2d(4), nn.AvgPool2d(2), nn.Identity()
        self.relu, self.relu2 = nn.ReLU(), nn.ReLU()
        with torch.no_grad():
            features = join(self.eval(), torch.zeros(1, 4, 8, 6)).numel()
        self.head = nn.Linear(features, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu0(self.norm0(self.stem(x)))
        out: torch.Tensor = self.head(self.relu(self.join(self, x)).flatten(1))
        return out


def _two_blocks(m: Block, x: torch.Tensor) -> torch.Tensor:
    """The spikes of the first block are its shortcut's, and read by three layers."""
    x = m.relu2(m.norm1(m.conv(x)) + x)
    return m.norm(m.mix(x)) + m.identity(x)


def _membrane_shortcut(m: Block, x: torch.Tensor) -> torch.Tensor:
    """The current of the first sum is a summand of the second, too (Hu et al., arXiv 2112.08954)."""
    y = m.norm1(m.conv(x))
    return m.mix(m.relu2(y)) + y


JOINS: dict[str, Join] = {
    "identity": lambda m, x: m.norm1(m.conv(x)) + x,
    "in place": lambda m, x: m.norm1(m.conv(x)).add_(m.identity(x)),
    "projection": lambda m, x: m.strided(x) + m.project(x),
    "pooled projection": lambda m, x: m.strided(x) + m.down(m.pool(x)),
    "pooled shortcut": lambda m, x: m.halved(x) + m.pool(x),
    "one pool, two readers": lambda m, x: m.halved(x) + m.mix(m.pool(x)) + m.pool(x),
    "three branches": lambda m, x: m.norm1(m.conv(x)) + x + m.mix(x),
    "normalised sum": lambda m, x: m.norm(m.mix(x) + m.norm1(m.conv(x))),
    "normalised shortcut": lambda m, x: m.norm(m.norm1(m.conv(x)) + x),
    "normalised three": lambda m, x: m.norm(m.mix(x) + (x + m.norm1(m.conv(x)))),
    "two blocks": _two_blocks,
    "membrane": _membrane_shortcut,
}
NEURONS = {"hard": LIF(decay=0.5), "integrator": LIF(decay=1.0), "soft": LIF(decay=0.75, reset="soft", initial=0.25)}


def _trained(
    ann: nn.Module, neuron: LIF, converted: bool, shape: tuple[int, int, int], timesteps: int = 3
) -> SpikingNetwork:
    """A student whose normalisation has seen data; converted ones have thresholds of their own."""
    torch.manual_seed(1)
    for module in ann.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, 0.0, 0.8)
    qcfs = to_qcfs(ann, levels=4, threshold=0.75)
    student = convert(qcfs, timesteps, neuron) if converted else to_spiking(ann, neuron, timesteps)
    with torch.no_grad():
        for _ in range(10):
            student.train()(torch.rand(16, *shape))
    return student.eval()


def _spikes_of(student: SpikingNetwork, images: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Spikes `[T, B, ...]` of every layer of neurons by path, and the logits `[T, B, classes]`, in float64."""
    spikes: dict[str, torch.Tensor] = {}
    student = student.double()
    for path, module in student.net.named_modules():
        if isinstance(module, LIFNeurons):
            keep = lambda module, inputs, output, path=path: spikes.update({path: output.bool()})  # noqa: E731
            module.register_forward_hook(keep)
    with torch.no_grad():
        logits = student(images)
    return {path: found.unflatten(0, (student.timesteps, -1)) for path, found in spikes.items()}, logits


def _same(found: FloatTrace, spikes: dict[str, torch.Tensor], logits: torch.Tensor) -> None:
    assert set(found.spikes) == set(spikes)
    for path, expected in spikes.items():
        assert torch.equal(found.spikes[path], expected), path
    torch.testing.assert_close(found.answer, logits.cumsum(0), rtol=0, atol=1e-5)


def _images(shape: tuple[int, int, int], count: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("neuron", "converted"), [("hard", False), ("integrator", True), ("soft", False), ("soft", True)]
)
@pytest.mark.parametrize("join", JOINS)
def test_every_spike_of_the_float_graph_is_the_students(join: str, neuron: str, converted: bool) -> None:
    torch.manual_seed(0)
    student = _trained(Block(JOINS[join]), NEURONS[neuron], converted, SHAPE)
    graph, pixels = lower(student, SHAPE), _images(SHAPE)
    images = pixels.double() / 255.0
    spikes, logits = _spikes_of(student, images)
    rates = [float(one.double().mean()) for one in spikes.values()]
    assert all(0.01 < rate < 0.99 for rate in rates), rates
    folded = fold_average_pooling(fold_scale(graph))
    left = {type(node) for node in folded.nodes.values()}
    assert not left & {nir.Scale, nir.AvgPool2d}
    for rewritten in (graph, fold_scale(graph), folded, fold_scale(fold_average_pooling(graph))):
        _same(run_float(rewritten, images.unsqueeze(0)), spikes, logits)
    network = quantize(folded).network
    assert check_limits(network) == [] and len(network.populations) == len(spikes) + 1
    assert len(network.connections) > len(network.populations)
    trace = simulate(network, network.input.encode(pixels.numpy()), record="counts")
    assert trace.readout is not None
    answers = trace.readout[-1] * network.logit_scale
    assert np.corrcoef(answers.ravel(), logits.sum(0).numpy().ravel())[0, 1] > 0.8


@pytest.mark.parametrize("name", ["resnet18", "resnet19", "resnet34"])
def test_resnets_of_the_zoo(name: str) -> None:
    """Untrained and four channels wide; as integers every population takes what the wiring of blocks says."""
    torch.manual_seed(0)
    shape = (3, 16, 16)
    student = _trained(build_model(name, shape, 10, width=4), LIF(), False, shape, timesteps=2)
    graph, pixels = lower(student, shape), _images(shape, 8)
    images = pixels.double() / 255.0
    spikes, logits = _spikes_of(student, images)
    folded = fold_average_pooling(fold_scale(graph))
    _same(run_float(folded, images.unsqueeze(0)), spikes, logits)
    network = quantize(folded).network
    assert check_limits(network) == []
    sources = {(connection.source, connection.target) for connection in network.connections}
    assert {("relu1", "blocks.1_1.relu2"), ("blocks.1_1.relu1", "blocks.1_1.relu2")} <= sources
    blocks = sum(population.name.endswith("relu2") for population in network.populations)
    assert blocks == {"resnet18": 8, "resnet19": 8, "resnet34": 16}[name]
    assert len(network.connections) == len(network.populations) + blocks


class Vectors(nn.Module):
    """A residual network without maps."""

    def __init__(self, join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None) -> None:
        super().__init__()
        size = 12
        self.first, self.second, self.head = nn.Linear(96, size), nn.Linear(size, size), nn.Linear(size, 5)
        self.relu1, self.relu2, self.join = nn.ReLU(), nn.ReLU(), join or torch.add
        self.norm = nn.Identity() if join else nn.BatchNorm1d(size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu1(self.first(x.flatten(1)))
        out: torch.Tensor = self.head(self.relu2(self.norm(self.join(x, self.second(x)))))
        return out


def test_a_shortcut_over_vectors_is_the_identity_matrix_times_the_normalisation() -> None:
    torch.manual_seed(0)
    student = _trained(Vectors(), LIF(decay=0.5, threshold=0.25), False, SHAPE)
    pixels = _images(SHAPE)
    graph = lower(student, SHAPE)
    factor = student.net.norm.weight / torch.sqrt(student.net.norm.running_var + student.net.norm.eps)
    diagonal = torch.diag(factor.detach()).numpy()
    np.testing.assert_allclose(graph.nodes["norm_ones"].weight, diagonal, rtol=1e-6)
    spikes, logits = _spikes_of(student, pixels.double() / 255.0)
    assert float(spikes["relu2"].double().mean()) > 0.01
    _same(run_float(graph, pixels.unsqueeze(0).double() / 255.0), spikes, logits)


def _lowered(ann: nn.Module) -> nir.NIRGraph:
    return lower(to_spiking(ann, LIF(), 2), SHAPE)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Vectors(lambda x, y: torch.add(x, y, alpha=2)), r"addition of 'relu1' and 'second': only outputs"),
        (Vectors(lambda x, y: y + y), r"addition of 'second': only outputs of different layers can be added"),
        (Vectors(lambda x, y: y + 1.0), r"addition of 'second': only outputs .*; put those into the weights"),
        (Block(lambda m, x: m.conv(x) + m.conv(x)[:, :, :1]), "function 'getitem' after 'conv': cannot be lowered"),
        (
            Block(lambda m, x: m.conv(x) + m.shift(x)),
            r"addition of 'conv' and 'shift\.1': shapes .* differ; add outputs of",
        ),
        (Vectors(lambda x, y: nn.functional.relu(y) + x), "function 'relu' after 'second': cannot be lowered"),
        (Vectors(lambda x, y: x * y), "function 'mul' after 'relu1': cannot be lowered"),
    ],
)
def test_an_addition_that_no_neurons_sum_up_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        _lowered(model)


def test_spikes_added_to_spikes_are_refused_with_the_way_out() -> None:
    sew = to_spiking(build_model("sew-resnet18", (3, 16, 16), 10, width=4, stem="small"), LIF(), 2)
    with pytest.raises(NeurokdError) as caught:
        lower(sew, (3, 16, 16))
    assert str(caught.value) == (
        "spike-element-wise addition of 'blocks.1_1.relu2' and 'relu1', read by 'blocks.1_2.conv1': it counts 0, 1 or "
        "2, which no spike can carry; add before the neurons, as a ResNet does"
    )


def _meeting(*, scaled: float = 1.0, size: int = 3) -> nir.NIRGraph:
    """Neurons n2 read a linear layer and the spikes of n1, these times `scaled`; the linear layer reads n1 as well."""
    nodes = {
        "in": nir.Input(np.array([size])), "a": affine(size, size, 1), "n1": lif((size,)), "b": affine(size, size, 2),
        "c": nir.Scale(np.full(size, scaled)), "n2": lif((size,)), "out": affine(2, size, 3),
        "end": nir.Output(np.array([2])),
    }  # fmt: skip
    edges = [("in", "a"), ("a", "n1"), ("n1", "c"), ("c", "b"), ("b", "n2"), ("c", "n2"), ("n2", "out"), ("out", "end")]
    return nir.NIRGraph(nodes, edges, metadata={"dt": 1e-3, "timesteps": 4}, type_check=False)


def test_the_value_of_a_spike_goes_into_every_layer_that_reads_it() -> None:
    graph = weigh_shortcuts(_meeting(scaled=1.5))
    folded = fold_scale(graph)
    np.testing.assert_array_equal(graph.nodes["n2.shortcut"].weight, np.eye(3))
    np.testing.assert_array_equal(folded.nodes["n2.shortcut"].weight, 1.5 * np.eye(3))
    np.testing.assert_allclose(folded.nodes["b"].weight, 1.5 * graph.nodes["b"].weight)
    assert set(folded.edges) == {
        ("in", "a"), ("a", "n1"), ("n1", "b"), ("n1", "n2.shortcut"), ("b", "n2"), ("n2.shortcut", "n2"),
        ("n2", "out"), ("out", "end"),
    }  # fmt: skip
    inputs = torch.rand(4, 32, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted = run_float(_meeting(scaled=1.5), inputs)
    assert 0.05 < wanted.spikes["n2"].double().mean() < 0.95
    for rewritten in (graph, folded):
        found = run_float(rewritten, inputs)
        assert torch.equal(found.spikes["n2"], wanted.spikes["n2"]) and torch.equal(found.answer, wanted.answer)


def test_a_chain_gets_no_shortcut() -> None:
    graph = chain(affine(3, 4), lif(3), affine(2, 3))
    assert weigh_shortcuts(graph).nodes == graph.nodes and weigh_shortcuts(graph).edges == graph.edges


def _with(graph: nir.NIRGraph, edges: list[tuple[str, str]], **nodes: nir.NIRNode) -> nir.NIRGraph:
    return nir.NIRGraph({**graph.nodes, **nodes}, [*graph.edges, *edges], metadata=graph.metadata, type_check=False)


POOL = nir.AvgPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0]))


@pytest.mark.parametrize(
    ("rewrite", "graph", "message"),
    [
        (weigh_shortcuts, _meeting(size=4097), "layer 'n2': a shortcut over a vector of 4097, allowed are 4096"),
        (fold_scale, _meeting(scaled=2.0), "layer 'n2': sums what is scaled by 'c' with other outputs"),
        (fold_scale, _with(_meeting(), [("a", "c")]), "layer 'c': scales the sum of 'n1' and 'a'; scale each"),
        (
            fold_average_pooling,
            _with(_meeting(), [("n1", "p"), ("a", "p"), ("p", "b")], p=POOL),
            "layer 'p': pools the sum",
        ),
    ],
)
def test_sums_that_a_pass_cannot_take_are_named(
    rewrite: Callable[[nir.NIRGraph], nir.NIRGraph], graph: nir.NIRGraph, message: str
) -> None:
    with pytest.raises(NeurokdError, match=message):
        rewrite(graph)
