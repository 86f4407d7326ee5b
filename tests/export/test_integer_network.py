"""Training in integers computes what the export computes, in every pass and at every number of bits."""

import numpy as np
import pytest
import torch
from torch import nn

from neurokd.export.limits import check_limits
from neurokd.export.lower import lower
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.qat.integer_network import IntegerNetwork
from neurokd.export.quantization.float_populations import float_populations
from neurokd.export.quantization.quantize import encoding_of, quantize
from neurokd.hardware.simulator import simulate
from neurokd.inputs import PIXELS, SPIKES, Encoding, to_input
from neurokd.neurons import LIF
from neurokd.spiking import to_spiking

SHAPE = (2, 6, 8)
COUNTS = Encoding(9, 1.0)


def student(neuron: LIF, timesteps: int = 3, bias: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(6, 4, 3, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5),
    )  # fmt: skip
    with torch.no_grad():
        ann[0].bias += bias
        ann[4].weight *= 4.0
    return to_spiking(ann, neuron, timesteps).eval()


def integers(
    neuron: LIF | None = None, encoding: Encoding = PIXELS, *, bias: float = 0.0, bits: int = 8, clip: float = 1.0
) -> IntegerNetwork:
    graph = fold_average_pooling(lower(student(neuron or LIF(), bias=bias), SHAPE, encoding))  # type: ignore[arg-type]
    populations = float_populations(graph, float(graph.metadata["dt"]), encoding)
    scales = quantize(graph, clip=clip, bits=bits).scales
    return IntegerNetwork(populations, scales, encoding_of(graph), int(graph.metadata["timesteps"]))


def images(encoding: Encoding) -> torch.Tensor:
    """Stored integers: pixels `[B, C, H, W]`, else frames `[B, T, C, H, W]`."""
    torch.manual_seed(1)
    steps = () if encoding == PIXELS else (3,)
    return torch.randint(0, encoding.maximum + 1, (7, *steps, *SHAPE), dtype=torch.uint8)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("encoding", [PIXELS, SPIKES, COUNTS], ids=["pixels", "spikes", "counts"])
@pytest.mark.parametrize("neuron", [LIF(), LIF(decay=0.8), LIF(decay=1.0)], ids=["half", "slow", "if"])
def test_both_passes_give_the_simulators_answers(bits: int, encoding: Encoding, neuron: LIF) -> None:
    network, stored = integers(neuron, encoding, bits=bits), images(encoding)
    exported = network.quantized().network
    readout = simulate(exported, exported.input.encode(stored.numpy())).readout
    assert readout is not None and len(np.unique(readout[-1])) > 3
    evaluated = network.eval()(to_input(stored))
    assert np.array_equal(np.rint(evaluated.cumsum(0).numpy() / np.float32(exported.logit_scale)), readout)
    trained = network.train()(to_input(stored))
    assert torch.allclose(trained.double(), evaluated, rtol=1e-6, atol=1e-6)
    assert check_limits(exported) == []


class Residual(nn.Module):
    """A block whose neurons read a convolution and a shortcut of spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.relu = nn.Conv2d(2, 4, 3, padding=1), nn.ReLU()
        self.conv, self.norm, self.relu2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.head = nn.Linear(192, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.stem(x))
        out: torch.Tensor = self.head(self.relu2(self.norm(self.conv(x)) + x).flatten(1))
        return out


@pytest.mark.parametrize("neuron", [LIF(), LIF(decay=1.0, reset="soft", initial=0.5)], ids=["hard", "soft"])
def test_residual_networks_and_soft_resets_too(neuron: LIF) -> None:
    torch.manual_seed(0)
    graph = lower(to_spiking(Residual(), neuron, 4).eval(), SHAPE)
    quantized = quantize(graph, bits=5)
    populations = float_populations(graph, float(graph.metadata["dt"]))
    network, shown = IntegerNetwork(populations, quantized.scales, PIXELS, 4), to_input(images(PIXELS))
    assert max(len(one.synapses) for one in populations) == 2
    evaluated, trained = network.eval()(shown), network.train()(shown)
    assert torch.allclose(trained.double(), evaluated, rtol=1e-6, atol=1e-6)
    trained.square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(one is not None and one.abs().sum() > 0 for one in gradients)


def test_equal_sums_of_integers_are_equal_logits() -> None:
    """So that validation breaks ties as the artefact does: by the lower class."""
    network = integers().eval()
    logits = network(to_input(images(PIXELS)))
    assert logits.dtype == torch.float64
    step = float(np.float32(network.quantized().network.logit_scale))
    assert torch.equal((logits / step).round() * step, logits)


def test_a_bias_that_needs_the_constant_plane_is_trained_as_a_whole() -> None:
    network, stored = integers(bias=0.6), images(PIXELS)
    exported = network.quantized().network
    assert exported.input.constant and exported.input.shape[0] == SHAPE[0] + 1
    trained = network.train()(to_input(stored))
    assert torch.allclose(trained.double(), network.eval()(to_input(stored)), rtol=1e-6, atol=1e-6)
    trained.square().sum().backward()
    bias = dict(network.named_parameters())["net.0.bias"]
    assert bias.grad is not None and bias.grad.abs().sum() > 0


def test_the_gradient_of_a_layer_without_neurons_by_hand() -> None:
    """Straight through the rounding: d logit[o] / d weight[o, i] is the input, d bias is 1, in float units."""
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    graph = lower(to_spiking(ann, LIF(), 1), (1, 2, 2))
    populations = float_populations(graph, float(graph.metadata["dt"]))
    network = IntegerNetwork(populations, quantize(graph).scales, PIXELS, 1).train()
    shown = torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)
    logits = network(to_input(shown))
    logits[0, 0, 1].backward()
    exported = network.quantized().network
    hidden = simulate(exported, exported.input.encode(shown.numpy())).spikes[populations[0].name][0, 0]
    weight, bias = (dict(network.named_parameters())[f"net.1.{name}"] for name in ("weights.0", "bias"))
    assert weight.grad is not None and bias.grad is not None
    assert weight.grad.tolist() == [[0.0, 0.0, 0.0], hidden.astype(float).tolist()]
    assert bias.grad.tolist() == [0.0, 1.0]


def test_it_starts_as_the_quantised_student() -> None:
    graph = fold_average_pooling(lower(student(LIF()), SHAPE))  # type: ignore[arg-type]
    expected = quantize(graph, clip=0.7, bits=4).network
    found = integers(bits=4, clip=0.7).quantized().network
    for ours, theirs in zip(found.connections, expected.connections, strict=True):
        assert (ours.weight != theirs.weight).mean() < 0.01  # a tie may fall to the other side in float32
    assert [p.threshold for p in found.populations] == [p.threshold for p in expected.populations]


def test_weights_that_grow_over_the_limits_of_the_chip_lower_the_scale() -> None:
    network = integers()
    before = network.quantized()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("net.0."):
                parameter *= 3.0
    after = network.quantized()
    assert check_limits(after.network) == []
    assert after.scales[0].scale < before.scales[0].scale and after.scales[0].limited_by == "current"
    assert after.scales[1:] == before.scales[1:]


def test_saved_and_loaded_it_is_the_same_network() -> None:
    trained = integers()
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    loaded = integers()
    loaded.load_state_dict(trained.state_dict())
    ours, theirs = loaded.quantized(), trained.quantized()
    assert ours.scales == theirs.scales
    assert all(
        np.array_equal(a.weight, b.weight)
        for a, b in zip(ours.network.connections, theirs.network.connections, strict=True)
    )


def test_training_lowers_the_loss_at_three_bits() -> None:
    network, shown = integers(bits=3).train(), to_input(images(PIXELS))
    labels = torch.arange(7) % 5
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(shown).mean(0), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
