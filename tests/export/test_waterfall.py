"""What a stage loses, and in which layer that begins, by hand."""

import nir
import numpy as np
import pytest
import torch
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.export.lower import lower
from neurokd.export.proof.stages import Stage, of_graph, of_network, of_student
from neurokd.export.proof.waterfall import first_loss, scores
from neurokd.export.quantization.dequantize import dequantize
from neurokd.export.quantization.float_populations import float_populations
from neurokd.export.quantization.quantize import encoding_of, quantize
from neurokd.hardware.simulator import simulate
from neurokd.neurons import LIF
from neurokd.spiking import to_spiking

from .nir_graphs import affine, chain, cuba, lif

LABELS = np.zeros(1000, np.int64)


def _stage(name: str, right: int, **rates: list[float]) -> Stage:
    """`right` of 1000 images are of class 0."""
    answers = np.where(np.arange(1000)[:, np.newaxis] < right, [[1.0, 0.0]], [[0.0, 1.0]])
    return Stage(name, answers, {layer: np.array(values) for layer, values in rates.items()})


def test_every_stage_is_held_against_the_labels_and_the_first() -> None:
    rows = scores([_stage("float", 900), _stage("rounded", 880)], LABELS)
    assert [(row["stage"], row["accuracy"], row["agreement"], row["samples"]) for row in rows] == [
        ("float", 0.9, 1.0, 1000),
        ("rounded", 0.88, 0.98, 1000),
    ]
    assert scores([_stage("float", 900)], None)[0]["accuracy"] is None


def test_the_first_loss_is_named_with_its_layers() -> None:
    """Layer a moves by 0.01 of 0.4, b by 0.3 of 0.6, c by 0.11 of 0.2: b adds 0.475, c another 0.05."""
    before = {"a": [0.1, 0.3], "b": [0.2, 0.4], "c": [0.2]}
    after = {"a": [0.1, 0.31], "b": [0.3, 0.2], "c": [0.09]}
    stages = [_stage("float", 900, **before), _stage("folded", 898, **before), _stage("rounded", 895, **after)]
    loss = first_loss([*stages, _stage("integers", 100)], LABELS)
    assert loss is not None and (loss.stage, loss.before, loss.starts_at) == ("rounded", "folded", "b")
    assert loss.points == pytest.approx(0.3)
    assert [layer.error for layer in loss.layers] == pytest.approx([0.025, 0.5, 0.55])
    assert (loss.layers[1].before, loss.layers[1].after) == pytest.approx((0.3, 0.25))
    assert loss.to_json()["layers"][0]["name"] == "a"


def test_two_tenths_of_a_point_are_no_loss_yet() -> None:
    assert first_loss([_stage("float", 900), _stage("rounded", 898), _stage("more", 897)], LABELS) is None


def test_without_labels_the_predictions_of_the_first_stage_are_the_truth() -> None:
    loss = first_loss([_stage("float", 500), _stage("rounded", 490)], None)
    assert loss is not None and loss.points == pytest.approx(1.0) and loss.starts_at is None


def test_student_graph_and_integers_have_the_same_layers() -> None:
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 3))
    student = to_spiking(ann, LIF(threshold=0.3), 3).eval()
    images = ImageSet(torch.randint(0, 256, (50, 1, 6, 6), dtype=torch.uint8), torch.zeros(50, dtype=torch.int64))
    graph = lower(student, (1, 6, 6))
    network = quantize(graph).network
    trace = simulate(network, network.input.encode(images.images[:].numpy()), record="counts")
    first, second, third = (
        of_student("a", student, images), of_graph("b", graph, images), of_network("c", network, trace)
    )  # fmt: skip
    assert list(first.rates) == list(second.rates) == list(third.rates) == ["1", "4"]
    assert first.rates["1"].shape == (3, 4, 4) and 0.0 < first.rates["1"].mean() < 1.0
    np.testing.assert_allclose(first.rates["1"], second.rates["1"], atol=0.01)
    np.testing.assert_allclose(first.answers, second.answers, atol=1e-4)
    assert np.abs(first.rates["1"] - third.rates["1"]).mean() < 0.05


def _images(count: int = 40) -> ImageSet:
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (count, 4, 1, 1), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.zeros(count, dtype=torch.int64))


def _graph(neurons: nir.NIRNode, bias: float = 0.3) -> nir.NIRGraph:
    nodes = (nir.Flatten({"input": np.array([4, 1, 1])}, 0), affine(6, 4, 1, bias), neurons, affine(3, 6, 2))
    graph = chain(*nodes, shape=(4, 1, 1))
    for name, size in (("1", 6), ("2", 6), ("3", 3)):
        graph.nodes[name].output_type = {"output": np.array([size])}
    return graph


def test_rounded_neurons_compute_what_the_integers_compute() -> None:
    """With tau = dt nothing of a membrane is left that could be truncated, so float and integers are equal."""
    graph = _graph(lif(6, tau=1e-3, r=1.0))
    quantized = quantize(graph)
    found = float_populations(graph, 1e-3, encoding_of(graph))
    rounded = dequantize(graph, found, quantized.scales, neurons=True)
    network = quantized.network
    trace = simulate(network, network.input.encode(_images().images[:].numpy()), record="counts")
    theirs, ours = of_graph("graph", rounded, _images()), of_network("integers", network, trace)
    assert np.array_equal(theirs.rates["2"], ours.rates["2"]) and 0.0 < ours.rates["2"].mean() < 1.0
    np.testing.assert_allclose(theirs.answers, ours.answers, rtol=1e-5)


def test_rounded_weights_leave_the_bias_alone() -> None:
    graph = _graph(lif(6))
    quantized, found = quantize(graph, bits=3), float_populations(graph, 1e-3, encoding_of(graph))
    before = graph.nodes["1"].weight.copy()
    weights = dequantize(graph, found, quantized.scales, neurons=False)
    np.testing.assert_allclose(weights.nodes["1"].bias, 0.3)
    assert len(np.unique(np.abs(weights.nodes["1"].weight).round(9))) <= 4  # of 3 bits: 0 and three magnitudes
    assert np.array_equal(graph.nodes["1"].weight, before)


def test_rounded_decays_keep_the_gain() -> None:
    """3 ms and 7 ms are no whole numbers of 4096ths: 1365 and 585 are what is lost in a step."""
    graph = _graph(cuba(6, tau_syn=3e-3, tau_mem=7e-3), bias=0.0)
    found = float_populations(graph, 1e-3, encoding_of(graph))
    node = dequantize(graph, found, quantize(graph).scales, neurons=True).nodes["2"]
    np.testing.assert_allclose(1e-3 / node.tau_syn, 1365 / 4096)
    np.testing.assert_allclose(1e-3 / node.tau_mem, 585 / 4096)
    gain = 1e-3 / node.tau_syn * node.w_in * 1e-3 / node.tau_mem * node.r
    np.testing.assert_allclose(gain, 2.0 * 4.0 / 21.0)
