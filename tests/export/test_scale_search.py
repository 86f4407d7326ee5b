"""Clips by rule, rounding that cancels, scales per channel, and the search among them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.errors import NeurokdError
from neurokd.export.limits import check_limits
from neurokd.export.lower import lower
from neurokd.export.quantization import calibrate as calibrate_module
from neurokd.export.quantization.calibrate import calibrate, float_logits, uncalibrated
from neurokd.export.quantization.clips import RULES
from neurokd.export.quantization.compensate import Compensation
from neurokd.export.quantization.float_populations import FloatPopulation, FloatSynapse, float_populations
from neurokd.export.quantization.integers import to_integers
from neurokd.export.quantization.moments import Moments, input_moments
from neurokd.export.quantization.per_channel import per_channel
from neurokd.export.quantization.scale import choose_scale
from neurokd.export.quantization.scale_search import ScaleOptions
from neurokd.inputs import PIXELS, SPIKES
from neurokd.neurons import LIF
from neurokd.spiking import SpikingNetwork, to_spiking


def _population(weight: list[list[float]], bias: float = 0.0, threshold: float = 10.0) -> FloatPopulation:
    array = np.array(weight)
    synapse = FloatSynapse("w", "before", (array.shape[1],), 1, array)
    return FloatPopulation("n", (len(array),), (synapse,), np.full(len(array), bias), np.array(threshold), 4096, 2048)


def test_min_max_keeps_the_largest_weight_and_the_percentile_does_not() -> None:
    """Of 1000 weights the 99.9th percentile lies between the last two: 1 + 0.001 * (4 - 1)."""
    population = _population([[4.0, *[1.0] * 999]])
    assert RULES["min-max"](population, 8, 1) == 1.0
    assert RULES["percentile"](population, 8, 1) == pytest.approx(1.003 / 4)


def test_the_squared_error_clips_where_bits_are_few() -> None:
    """One weight of 1 and a hundred of 0.35: levels 0 and +-1 lose the many, a clip of 0.35 or so loses the one."""
    population = _population([[1.0, *[0.35] * 100]])
    assert RULES["mse"](population, 8, 1) == 1.0
    assert 0.3 <= RULES["mse"](population, 2, 1) <= 0.4


def _identity(size: int) -> dict[str, Moments]:
    return {"w": Moments(np.zeros((1, size)), (np.eye(size)[np.newaxis],))}


def _weights(population: FloatPopulation, moments: dict[str, Moments]) -> list[int]:
    fitted, scale = Compensation(moments).fitted(population, choose_scale(population), 1)
    return [int(value) for value in to_integers(fitted, scale)[1][0].weight[0]]


def test_inputs_that_have_nothing_to_do_with_each_other_are_rounded_to_the_nearest() -> None:
    population = _population([[254.0, 100.9, 3.2, -50.4]])
    assert _weights(population, _identity(4)) == [254, 100, 4, -50]


def test_the_errors_of_equal_inputs_cancel() -> None:
    """Four inputs that always come together: 0.9 each are 3.6, nearest are four zeros, which is none of it."""
    population = _population([[254.0, 0.9, 0.9, 0.9, 0.9]])
    covariance = np.ones((5, 5))
    covariance[0, :] = covariance[:, 0] = 0.0
    covariance[0, 0] = 1.0
    found = _weights(population, {"w": Moments(np.zeros((1, 5)), (covariance[np.newaxis],))})
    assert found[0] == 254 and sum(found[1:]) == 4


def test_the_bias_takes_the_mean_error() -> None:
    """At a scale of 1 the weight 0.9 becomes 0: an input of mean 0.5 then lacks 0.45."""
    population = _population([[254.0, 0.9]], bias=3.0)
    moments = {"w": Moments(np.array([[0.25, 0.5]]), (np.eye(2)[np.newaxis],))}
    fitted, scale = Compensation(moments).fitted(population, choose_scale(population), 1)
    assert scale.scale == 1.0 and fitted.bias.tolist() == pytest.approx([3.45])


def test_moments_are_those_of_the_inputs() -> None:
    """Pixels of 0 and 255, two of which are always equal, and the spikes that they make."""
    student = to_spiking(nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), LIF(), 2).eval()
    pixels = torch.tensor([[0, 0, 255], [255, 255, 255]], dtype=torch.uint8).reshape(2, 3, 1, 1).repeat(20, 1, 1, 1)
    graph = lower(student, (3, 1, 1))
    moments = input_moments(graph, float_populations(graph, 1e-3), ImageSet(pixels, torch.zeros(40, dtype=torch.int64)))
    first = moments["1"]
    np.testing.assert_allclose(first.mean, [[127.5, 127.5, 255.0]])
    np.testing.assert_allclose(
        first.covariance[0][0], 127.5**2 * np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]]), rtol=1e-5
    )
    assert moments["3"].mean.shape == (1, 4) and 0.0 <= moments["3"].mean.min() <= moments["3"].mean.max() <= 1.0


def _student(*, wide: bool = False) -> SpikingNetwork:
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2, groups=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(4 * 3 * 3, 3),
    )  # fmt: skip
    with torch.no_grad():
        for layer in ann:
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(3.0)
        if wide:
            ann[3].weight[0].mul_(20.0)
    return to_spiking(ann, LIF(threshold=0.5), 3).eval()


def _images(seed: int = 0) -> ImageSet:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 256, (64, 2, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSet(noise, torch.zeros(64, dtype=torch.int64))


@settings(max_examples=8, deadline=None)
@given(bits=st.integers(2, 8), seed=st.integers(0, 100))
def test_compensated_integers_stay_within_the_limits(bits: int, seed: int) -> None:
    student = _student()
    options = ScaleOptions("mse", bits, 8)
    chosen = calibrate(lower(student, (2, 8, 8)), float_logits(student, _images(seed)), _images(seed), (), options)
    assert check_limits(chosen.quantized.network) == []


def test_the_best_comes_first_and_beats_rounding_to_the_nearest() -> None:
    student, graph = _student(), lower(_student(), (2, 8, 8))
    wanted = float_logits(student, _images())
    found = calibrate(graph, wanted, _images(), (), ScaleOptions(weight_bits=5))
    errors = [one.logit_error for one in found.tried]
    assert found.chosen is found.tried[0] and errors == sorted(errors)
    assert {one.input_bits for one in found.tried} == {6, 7, 8}
    spec = found.quantized.network.input
    assert (spec.maximum, spec.shift) == (255 >> spec.shift, 8 - found.chosen.input_bits)
    assert found.to_json()["clip"].keys() == {"2", "4", "6"}


def test_one_method_and_bits_leave_one_candidate() -> None:
    student = _student()
    options = ScaleOptions("percentile", 8, 6)
    found = calibrate(lower(student, (2, 8, 8)), float_logits(student, _images()), _images(), ("a", "b", "c"), options)
    assert [(one.method, one.input_bits) for one in found.tried] == [("percentile", 6)]
    assert found.quantized.network.input.maximum == 63 and found.quantized.network.labels == ("a", "b", "c")


def test_bits_that_the_inputs_have_not_are_refused() -> None:
    student = _student()
    graph = lower(student, (2, 8, 8), SPIKES)
    images = ImageSet(_images().images[:] % 2, _images().labels)
    wanted = float_logits(student, images)
    with pytest.raises(NeurokdError, match="input bits: got 7, allowed for these data are 1"):
        calibrate(graph, wanted, images, (), ScaleOptions("min-max", 8, 7))
    assert calibrate(graph, wanted, images, (), ScaleOptions("min-max")).chosen.input_bits == 1
    with pytest.raises(NeurokdError, match="input bits: got 5, allowed for these data are 8, 7, 6"):
        calibrate(lower(student, (2, 8, 8), PIXELS), wanted, images, (), ScaleOptions("min-max", 8, 5))


def test_each_channel_gets_the_whole_range() -> None:
    """A channel of weights up to 1 beside one up to 0.1: the second is scaled by ten, its threshold as well."""
    scaled = per_channel(_population([[1.0, -0.5], [0.1, 0.05]], bias=0.2, threshold=1.0))
    assert scaled.threshold is not None
    np.testing.assert_allclose(scaled.threshold, [1.0, 10.0])
    np.testing.assert_allclose(scaled.bias, [0.2, 2.0])
    np.testing.assert_allclose(scaled.synapses[0].weight, [[1.0, -0.5], [1.0, 0.5]])


def test_a_dead_channel_and_the_read_out_stay_as_they_are() -> None:
    scaled = per_channel(_population([[1.0, -0.5], [0.0, 0.0]], threshold=1.0))
    assert scaled.threshold is not None and scaled.threshold.tolist() == [1.0, 1.0]
    readout = FloatPopulation("out", (1,), _population([[1.0]]).synapses, np.zeros(1), None, 4096, 0)
    assert per_channel(readout) is readout


def test_scales_per_channel_come_closer_where_channels_differ() -> None:
    student, graph = _student(wide=True), lower(_student(wide=True), (2, 8, 8))
    wanted = float_logits(student, _images())
    one, each = (
        calibrate(graph, wanted, _images(), (), ScaleOptions("min-max", 4, 8, per_channel=channels))
        for channels in (False, True)
    )
    assert each.chosen.logit_error < one.chosen.logit_error
    assert check_limits(each.quantized.network) == []


def test_without_data_the_options_hold_as_well() -> None:
    graph = lower(_student(), (2, 8, 8))
    plain = uncalibrated(graph, (), ScaleOptions())
    assert (plain.chosen.method, plain.chosen.input_bits, plain.notes) == ("min-max", 8, ())
    asked = uncalibrated(graph, (), ScaleOptions("mse", 3, 6, per_channel=True))
    network = asked.quantized.network
    assert (asked.chosen.method, network.input.maximum, network.input.shift) == ("mse", 63, 2)
    assert network.populations[0].threshold.shape == (4,) and "Intel documents one value" in asked.notes[0]
    assert len(np.unique(network.connections[1].weight)) <= 7  # 3 bits and a sign


def test_a_large_network_is_searched_on_fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    ann = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
    student = to_spiking(ann, LIF(), 2)
    graph = lower(student, (2, 8, 8))
    products = 2 * (4 * 2 * 9 * 3 * 3 + 36 * 3)  # steps times (kernels at every position, and the matrix)
    assert calibrate_module.affordable(graph) == calibrate_module.BUDGET // products
    monkeypatch.setattr(calibrate_module, "MIN_IMAGES", 2)
    monkeypatch.setattr(calibrate_module, "BUDGET", 10 * products)
    images = _images()
    wanted = float_logits(student, images)
    found = calibrate(graph, wanted, images, (), ScaleOptions("min-max", input_bits=8))
    assert found.samples == len(range(0, len(images), -(-len(images) // 10))) <= 10 < len(images)
    few = images.subset(torch.arange(0, len(images), -(-len(images) // 10)))
    alone = calibrate(graph, float_logits(student, few), few, (), ScaleOptions("min-max", input_bits=8))
    assert alone.chosen.logit_error == found.chosen.logit_error
