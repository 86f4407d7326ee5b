"""A network converted from QCFS reaches the chip: thresholds and the values of spikes become weights."""

import itertools
from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neurokd.conversion import convert, to_qcfs
from neurokd.data.images import ImageSet
from neurokd.errors import NeurokdError
from neurokd.export.limits import check_limits
from neurokd.export.lower import lower
from neurokd.export.network_files.network_file import read_network, write_network
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.export.quantization.calibrate import float_logits, integer_logits
from neurokd.export.quantization.quantize import quantize
from neurokd.hardware.simulator import simulate
from neurokd.neurons import LIF
from neurokd.spiking import SpikingNetwork

SHAPE = (2, 8, 4)
RunFloat = Callable[[nir.NIRGraph, torch.Tensor], torch.Tensor]


def _student(neuron: LIF, thresholds: list[float], pooled: list[bool], timesteps: int = 4) -> SpikingNetwork:
    """Convolutions with or without pooling and a linear layer, each with its threshold.

    Weights, biases and thresholds are dyadic, so sums are exact and no spike hangs on the order of additions.
    """
    generator = torch.Generator().manual_seed(3)
    layers: list[nn.Module] = []
    for pool in pooled:
        layers += [nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), *([nn.AvgPool2d((2, 1))] if pool else [])]
    features = 2 * 8 * 4 // 2 ** sum(pooled)
    ann = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 6), nn.ReLU(), nn.Linear(6, 5))
    with torch.no_grad():
        for parameter in ann.parameters():
            parameter.copy_(torch.randint(-16, 25, parameter.shape, generator=generator) / 32)
    model = to_qcfs(ann)
    for name, parameter in model.named_parameters():
        if name.endswith("threshold"):
            parameter.data.fill_(thresholds.pop())
    return convert(model, timesteps, neuron).eval()


def _images(count: int = 8) -> torch.Tensor:
    return torch.randint(0, 9, (count, *SHAPE), generator=torch.Generator().manual_seed(1)) / 8


@settings(deadline=None, max_examples=15)
@given(
    decay=st.sampled_from([0.0, 0.5, 1.0]),
    threshold=st.sampled_from([0.5, 1.0]),
    thetas=st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=4, max_size=4),
    pooled=st.lists(st.booleans(), min_size=1, max_size=3),
)
def test_thresholds_and_values_of_spikes_fold_into_weights_exactly(
    run_float: RunFloat, decay: float, threshold: float, thetas: list[float], pooled: list[bool]
) -> None:
    student = _student(LIF(decay=decay, threshold=threshold), thetas, pooled)
    graph = lower(student, SHAPE)
    with torch.no_grad():
        expected = student(_images()).double()
    assert sum(isinstance(node, nir.Scale) for node in graph.nodes.values()) == len(pooled) + 1
    torch.testing.assert_close(run_float(graph, _images()), expected, rtol=0, atol=1e-5)
    for folded in (fold_scale(graph), fold_average_pooling(fold_scale(graph)), fold_scale(fold_average_pooling(graph))):
        assert not any(isinstance(node, nir.Scale) for node in folded.nodes.values())
        torch.testing.assert_close(run_float(folded, _images()), expected, rtol=0, atol=1e-5)


def test_names_tell_the_neurons_from_the_value_of_their_spikes() -> None:
    graph = lower(_student(LIF(), [2.0, 4.0], [False]), SHAPE)
    assert list(graph.nodes)[1:-1] == ["0", "1.spikes", "1.value", "2", "3", "4.spikes", "4.value", "5"]
    assert np.unique(graph.nodes["1.spikes"].v_threshold) == 4.0 and np.unique(graph.nodes["1.value"].scale) == 4.0


def test_folding_leaves_the_graph_alone() -> None:
    graph = lower(_student(LIF(), [2.0, 4.0], [False]), SHAPE)
    before = {name: node.weight.copy() for name, node in graph.nodes.items() if hasattr(node, "weight")}
    folded = fold_scale(graph)
    assert all(np.array_equal(graph.nodes[name].weight, weight) for name, weight in before.items())
    assert np.array_equal(folded.nodes["3"].weight, 4.0 * before["3"])
    assert np.array_equal(folded.nodes["3"].bias, graph.nodes["3"].bias)


@pytest.mark.parametrize("decay", [0.5, 1.0])
def test_the_integer_network_follows_the_float_student(decay: float, tmp_path: Path) -> None:
    """Dyadic weights bring many ties, which rounding breaks, so some spikes flip; the logits still follow."""
    student = _student(LIF(decay=decay), [2.0, 0.5, 4.0], [True, False])
    network = quantize(fold_average_pooling(fold_scale(lower(student, SHAPE)))).network
    assert check_limits(network) == []
    assert [population.decay_v for population in network.populations] == [round(4096 * (1 - decay))] * 3 + [0]
    generator = torch.Generator().manual_seed(5)
    pixels = torch.randint(0, 256, (64, *SHAPE), dtype=torch.uint8, generator=generator)
    images = ImageSet(pixels, torch.zeros(64, dtype=torch.int64))
    wanted, got = float_logits(student, images), integer_logits(network, images)
    assert wanted.std() > 0.5
    assert np.corrcoef(wanted.ravel(), got.ravel())[0, 1] > 0.95
    assert np.polyfit(wanted.ravel(), got.ravel(), 1)[0] == pytest.approx(1.0, abs=0.1)
    write_network(network, tmp_path / "network.net")
    frames = network.input.encode(images.images.numpy())
    again, first = (simulate(n, frames).readout for n in (read_network(tmp_path / "network.net"), network))
    assert again is not None and first is not None and np.array_equal(again, first)


def test_decay_one_is_nirs_integrate_and_fire() -> None:
    graph = lower(_student(LIF(decay=1.0), [2.0, 4.0], [False]), SHAPE)
    assert [type(node) for name, node in graph.nodes.items() if "spikes" in name] == [nir.IF, nir.IF]


def _chain(*nodes: nir.NIRNode) -> nir.NIRGraph:
    ends = (nir.Input(np.array([3])), nir.Output(np.array([3])))
    named = {str(index): node for index, node in enumerate((ends[0], *nodes, ends[1]))}
    return nir.NIRGraph(named, list(itertools.pairwise(named)), type_check=False)


_LINEAR = nir.Affine(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
_IF = nir.IF(np.ones(3), np.ones(3))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (_chain(nir.Scale(np.full(3, 2.0))), "layer '1': a scale before Output '2'"),
        (_chain(_LINEAR, nir.Scale(np.full(3, 2.0)), _IF), "layer '2': a scale before IF '3'"),
        (_chain(nir.Scale(np.arange(3.0)), _LINEAR), "layer '1': a scale with values from 0 to 2"),
    ],
)
def test_a_scale_that_no_weights_can_take_is_named(graph: nir.NIRGraph, message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        fold_scale(graph)


def test_two_scales_in_a_row_multiply() -> None:
    folded = fold_scale(_chain(nir.Scale(np.full(3, 2.0)), nir.Scale(np.full(3, 1.5)), _LINEAR))
    assert np.array_equal(folded.nodes["3"].weight, 3 * np.eye(3))
