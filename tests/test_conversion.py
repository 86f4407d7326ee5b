"""ReLU -> QCFS -> spiking: what the conversion promises about equality, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neurokd.conversion import CONVERTED, ThresholdNeurons, convert, to_qcfs
from neurokd.data.images import ImageSet
from neurokd.errors import NeurokdError
from neurokd.evaluation import evaluate
from neurokd.neurons import LIF
from neurokd.qcfs import QCFS
from neurokd.spiking import LIFNeurons


def _ann() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5),
    ).eval()  # fmt: skip


def _qcfs(levels: int = 8) -> nn.Module:
    """Thresholds that differ and fit the activations, as after training; weights that let images differ."""
    ann = _ann()
    for layer in (ann[0], ann[4], ann[7]):
        nn.init.normal_(layer.weight, std=2 / layer.weight[0].numel() ** 0.5)
    model = to_qcfs(ann, levels).eval()
    model[2].threshold.data.fill_(1.5)  # type: ignore[index,union-attr]
    model[5].threshold.data.fill_(0.75)  # type: ignore[index,union-attr]
    return model


@settings(deadline=None)
@given(
    levels=st.integers(1, 32), exponent=st.integers(-3, 3),
    inputs=st.lists(st.integers(-200, 3000), min_size=1, max_size=20),
)  # fmt: skip
def test_one_layer_converts_exactly(levels: int, exponent: int, inputs: list[int]) -> None:
    """A constant input over T = L steps. Everything is dyadic, so sums are exact and ties are ties."""
    threshold = 2.0**exponent
    x = torch.tensor(inputs).double()[:, None] / 1024 * threshold
    ties = (torch.arange(levels + 2).double()[:, None] - 0.5) * threshold / levels  # exact for a power of two
    x = torch.cat([x, ties]) if levels & (levels - 1) == 0 else x
    qcfs = QCFS(levels, threshold).double()
    steps = convert(nn.Sequential(qcfs), timesteps=levels).double()(x)
    counts, expected = steps.sum(dim=0) / threshold, qcfs(x) * levels / threshold
    assert torch.equal(counts.round(), expected.round())
    assert set((steps / threshold).unique().tolist()) <= {0.0, 1.0}


def test_the_network_approaches_the_qcfs_network_with_more_steps() -> None:
    model, images = _qcfs(levels=64), torch.rand(32, 2, 8, 8)
    with torch.no_grad():
        wanted = model(images)
        errors = {t: float((convert(model, t)(images).mean(dim=0) - wanted).abs().mean()) for t in (1, 4, 16, 64)}
    assert wanted.std() > 0.05
    assert errors[64] < errors[16] < errors[4] < errors[1]
    assert errors[64] < 0.1 * wanted.std()


def test_relu_becomes_qcfs_and_max_pooling_average_pooling() -> None:
    ann = _ann()
    ann[3] = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
    model = to_qcfs(nn.Sequential(ann, nn.AdaptiveMaxPool2d(1)), levels=5, threshold=2.0)
    pools = [module for module in model.modules() if isinstance(module, nn.AvgPool2d | nn.AdaptiveAvgPool2d)]
    assert [repr(pool) for pool in pools] == [
        "AvgPool2d(kernel_size=3, stride=2, padding=1)", "AdaptiveAvgPool2d(output_size=1)"
    ]  # fmt: skip
    assert pools[0].ceil_mode
    found = [module for module in model.modules() if isinstance(module, QCFS)]
    assert [(layer.levels, layer.threshold.item()) for layer in found] == [(5, 2.0), (5, 2.0)]
    assert not any(isinstance(module, nn.ReLU | nn.MaxPool2d) for module in model.modules())


def test_arguments_are_left_alone() -> None:
    ann = _ann()
    model = to_qcfs(ann)
    student = convert(model, timesteps=2)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert isinstance(ann[2], nn.ReLU) and isinstance(model[2], QCFS)  # type: ignore[index]
    assert all(parameter.abs().sum() > 0 for parameter in model.parameters() if parameter.ndim != 1)
    assert model[2].threshold.item() == 8.0  # type: ignore[index,union-attr]


def test_the_state_of_the_qcfs_network_fits_the_spiking_one() -> None:
    """So a trained QCFS network can be loaded into a converted, untrained one."""
    trained, fresh = _qcfs(), convert(to_qcfs(_ann()), timesteps=3).eval()
    fresh.net.load_state_dict(trained.state_dict())
    images = torch.rand(4, 2, 8, 8)
    torch.testing.assert_close(fresh(images), convert(trained, timesteps=3).eval()(images))


def test_the_threshold_of_the_spiking_network_is_trained() -> None:
    student = convert(_qcfs(), timesteps=4)
    student(torch.rand(8, 2, 8, 8)).square().sum().backward()
    layers = [module for module in student.modules() if isinstance(module, ThresholdNeurons)]
    assert len(layers) == 2
    for layer in layers:
        assert layer.threshold.grad is not None and layer.threshold.grad.abs() > 0


def test_another_neuron_works_in_units_of_the_threshold() -> None:
    """theta = 2, hard reset, decay 1/2, input 1.5: h = 1.5, 2.25 (a spike of value 2), 1.5."""
    student = convert(nn.Sequential(QCFS(4, 2.0)), timesteps=3, neuron=LIF(decay=0.5))
    assert student(torch.full((1, 1), 1.5)).flatten().tolist() == [0.0, 2.0, 0.0]


def test_firing_rates_count_spikes_and_not_their_values() -> None:
    student = convert(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), QCFS(4, 2.0)), timesteps=4)
    with torch.no_grad():
        student.net[1].weight.zero_()  # type: ignore[index,union-attr,operator]
        student.net[1].bias.copy_(torch.tensor([1.0, 2.0]))  # type: ignore[index,union-attr,operator]
    images = ImageSet(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.ones(3, dtype=torch.int64))
    assert evaluate(student, images).firing_rate == {"net.2.spikes": 0.75}  # 1/2 and 1


def test_one_pass_over_64_steps_gives_the_accuracy_of_every_shorter_run() -> None:
    model = _qcfs()
    pixels = torch.randint(0, 256, (50, 2, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        images = ImageSet(pixels, model(pixels / 255).argmax(dim=1))
    whole = evaluate(convert(model, 64), images, batch_size=16).accuracy_per_step
    assert len(whole) == 64 and whole[0] < whole[63] and whole[63] > 0.9
    for t in (1, 3, 20):
        assert evaluate(convert(model, t), images, batch_size=50).accuracy_per_step == whole[:t]


def test_the_default_is_the_neuron_of_hsd() -> None:
    assert (CONVERTED.decay, CONVERTED.reset, CONVERTED.initial, CONVERTED.threshold) == (1.0, "soft", 0.5, 1.0)
    student = convert(_qcfs(), timesteps=2)
    assert [module.lif for module in student.modules() if isinstance(module, LIFNeurons)] == [CONVERTED] * 2


def test_a_model_without_qcfs_is_refused() -> None:
    with pytest.raises(NeurokdError, match="Sequential: no QCFS layer found to convert; make a model with to_qcfs"):
        convert(_ann(), timesteps=4)


def test_a_model_without_relu_modules_is_refused() -> None:
    with pytest.raises(NeurokdError, match=r"Linear: no nn\.ReLU module found to replace by QCFS"):
        to_qcfs(nn.Linear(2, 2))


def test_max_pooling_without_an_average_counterpart_is_refused() -> None:
    ann = _ann()
    ann[3] = nn.MaxPool2d(2, dilation=2)
    with pytest.raises(NeurokdError, match="layer '3': max-pooling with dilation"):
        to_qcfs(ann)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_threshold_that_was_trained_away_is_refused(value: float) -> None:
    model = _qcfs()
    model[5].threshold.data.fill_(value)  # type: ignore[index,union-attr]
    with pytest.raises(NeurokdError, match="layer '5': its QCFS threshold is"):
        convert(model, timesteps=4)


def test_zero_steps_are_refused() -> None:
    with pytest.raises(NeurokdError, match="timesteps: got 0"):
        convert(_qcfs(), timesteps=0)
