"""Lowering, folding and quantising keep the function: compared with the torch model, layer by layer."""

from collections.abc import Callable

import nir
import numpy as np
import pytest
import torch
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.errors import NeurokdError
from neurokd.export.limits import check_limits
from neurokd.export.lower import lower
from neurokd.export.network import CURRENT_LIMIT, MAX_BIAS, LoihiNetwork
from neurokd.export.nir_graphs.run_float import run_float as run_any_graph
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.quantization.calibrate import float_logits, integer_logits
from neurokd.export.quantization.quantize import quantize
from neurokd.hardware.simulator import simulate
from neurokd.models import build_model
from neurokd.neurons import LIF
from neurokd.spiking import SpikingNetwork, to_spiking

SHAPE = (2, 12, 8)
RunFloat = Callable[[nir.NIRGraph, torch.Tensor], torch.Tensor]


def _student(timesteps: int = 3, decay: float = 0.5) -> SpikingNetwork:
    """Every kind of layer, H != W, kernels and paddings that differ, BN with real statistics."""
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(2, 6, (3, 5), padding=(1, 2), bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d((2, 2)),
        nn.Dropout(0.5), nn.Conv2d(6, 8, 3, padding=1, groups=2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 3 * 2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5),
    )  # fmt: skip
    student = to_spiking(_drawn(ann), LIF(decay=decay), timesteps)
    with torch.no_grad():
        for _ in range(20):  # running statistics of spikes, not of currents
            student.train()(torch.rand(32, *SHAPE))
    return student.eval()


def _images(count: int = 64) -> ImageSet:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.zeros(count, dtype=torch.int64))


def _quantized(student: SpikingNetwork) -> LoihiNetwork:
    return quantize(fold_average_pooling(lower(student, SHAPE))).network


def _normalised_before() -> SpikingNetwork:
    """Normalisations of the input, of spikes, of pooled spikes, two in a row, before groups and behind a flattening."""
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.BatchNorm2d(2), nn.Conv2d(2, 6, (3, 1)), nn.ReLU(), nn.BatchNorm2d(6), nn.AvgPool2d(2), nn.Dropout(0.2),
        nn.Conv2d(6, 8, (2, 1), groups=2, bias=False), nn.ReLU(), nn.BatchNorm2d(8), nn.BatchNorm2d(8, affine=False),
        nn.Flatten(), nn.Linear(8 * 4 * 4, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Linear(16, 5, bias=False),
    )  # fmt: skip
    student = to_spiking(_drawn(ann), LIF(), 3)
    with torch.no_grad():
        for _ in range(20):
            student.train()(torch.rand(32, *SHAPE))
    return student.eval()


def _drawn(ann: nn.Module) -> nn.Module:
    for module in ann.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.8)
    return ann


def test_a_normalisation_before_weights_is_in_them(run_float: RunFloat) -> None:
    student, images = _normalised_before(), _images().images / 255.0
    state = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    graph = fold_average_pooling(lower(student, SHAPE))
    assert {type(node).__name__ for node in graph.nodes.values()} <= {
        "Input", "Conv2d", "LIF", "Flatten", "Affine", "Output",
    }  # fmt: skip
    with torch.no_grad():
        wanted = student(images).sum(0)
    assert wanted.std() > 0.1
    torch.testing.assert_close(run_float(graph, images).sum(0).float(), wanted, rtol=1e-4, atol=1e-3)
    assert all(torch.equal(tensor, state[name]) for name, tensor in student.state_dict().items())


def test_a_normalisation_that_several_layers_read_is_in_all_of_them() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4)
            self.left, self.right, self.relu2 = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 3, 1, bias=False), nn.ReLU()
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 8, 5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.norm(self.relu(self.conv(x)))
            return self.head(self.relu2(self.left(x) + self.right(x)))  # type: ignore[no-any-return]

    torch.manual_seed(1)
    student = to_spiking(_drawn(Branches()), LIF(), 3)
    with torch.no_grad():
        student.train()(torch.rand(32, *SHAPE))
        images = _images().images / 255.0
        wanted = student.eval()(images).sum(0)
    answer = run_any_graph(lower(student, SHAPE), images.unsqueeze(0)).answer[-1]
    torch.testing.assert_close(answer, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("folded", [False, True], ids=["lowered", "pooling folded"])
def test_the_graph_computes_what_the_model_computes(folded: bool, run_float: RunFloat) -> None:
    student, images = _student(), _images().images / 255.0
    graph = lower(student, SHAPE)
    assert any(isinstance(node, nir.AvgPool2d) for node in graph.nodes.values())
    if folded:
        graph = fold_average_pooling(graph)
        assert not any(isinstance(node, nir.AvgPool2d) for node in graph.nodes.values())
    with torch.no_grad():
        expected = student(images).double()
    got = run_float(graph, images)
    assert expected.abs().max() > 0.1
    # a spike in hundreds of thousands may flip where float32 and float64 straddle the threshold
    different = (got - expected).abs().amax(dim=(0, 2)) > 1e-3
    assert different.float().mean() <= 0.05


def test_lowering_leaves_the_student_alone() -> None:
    student = _student()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    lower(student, SHAPE)
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


def test_nir_file_round_trip(tmp_path) -> None:  # type: ignore[no-untyped-def]
    graph = lower(_student(), SHAPE)
    nir.write(tmp_path / "n.nir", graph)
    back = nir.read(tmp_path / "n.nir", type_check=False)
    assert set(back.nodes) == set(graph.nodes) and set(back.edges) == set(graph.edges)
    assert float(back.metadata["dt"]) == graph.metadata["dt"]


def _run_real_valued(network: LoihiNetwork, images: ImageSet) -> np.ndarray:  # type: ignore[type-arg]
    """The integer weights in real arithmetic, float64: no shifts, no truncation. Read-out `[T, B, C]`."""
    frames = torch.from_numpy(network.input.encode(images.images.numpy())[0]).double()
    state: dict[str, torch.Tensor] = {}
    readout = []
    for _ in range(network.timesteps):
        x = frames
        for population, connection in zip(network.populations, network.connections, strict=True):
            weight = torch.from_numpy(connection.weight).double()
            if connection.kind == "dense":
                a = x.flatten(1) @ weight.T
            else:
                geometry = (connection.stride, connection.padding, connection.dilation, connection.groups)
                a = nn.functional.conv2d(x, weight, None, *geometry)
            if population.bias is not None:
                a = a + torch.from_numpy(population.bias).view(-1, *[1] * (a.ndim - 2))
            v = state.get(population.name, torch.zeros_like(a)) * (1 - population.decay_v / 4096) + a
            x = (v > int(population.threshold)).double()
            state[population.name] = v * (1 - x)
        readout.append(state[population.name])
    return torch.stack(readout).numpy()


@pytest.mark.parametrize("decay", [0.5, 0.25, 0.8])
def test_fixed_point_adds_next_to_nothing_to_the_rounding_of_weights(decay: float) -> None:
    """Simulator against the same integer weights in real arithmetic: only the truncated decays differ."""
    network, images = _quantized(_student(decay=decay)), _images(128)
    trace = simulate(network, network.input.encode(images.images.numpy()))
    assert trace.readout is not None and np.ptp(trace.readout) > 100
    same = (trace.readout == np.round(_run_real_valued(network, images))).all(axis=(0, 2))
    assert same.mean() >= 0.97


@pytest.mark.parametrize("decay", [0.5, 0.25, 0.8])
def test_the_integer_network_follows_the_float_student(decay: float) -> None:
    """An untrained student has no margins, so rounded weights flip some spikes; the logits still follow."""
    student, images = _student(decay=decay), _images(128)
    wanted, got = float_logits(student, images), integer_logits(_quantized(student), images)
    assert np.corrcoef(wanted.ravel(), got.ravel())[0, 1] > 0.95
    assert np.polyfit(wanted.ravel(), got.ravel(), 1)[0] == pytest.approx(1.0, abs=0.1)


def test_all_limits_hold_and_the_bias_plane_is_used() -> None:
    network = _quantized(_student())
    assert network.input.shape == (3, 12, 8) and network.input.constant == 255
    for connection in network.connections:
        assert np.abs(connection.weight).max() <= 254 and not (connection.weight % 2).any()
        reach = 255 if connection.source == "input" else 1
        flat = connection.weight.reshape(connection.weight.shape[0], -1) * reach
        assert max(flat.clip(min=0).sum(1).max(), -flat.clip(max=0).sum(1).min()) < CURRENT_LIMIT
    for population in network.populations:
        assert 1 <= int(population.threshold) <= 131071
        assert population.bias is None or np.abs(population.bias).max() <= MAX_BIAS


def test_clipping_is_counted() -> None:
    graph = fold_average_pooling(lower(_student(), SHAPE))
    scales = quantize(graph, clip=0.5).scales
    assert quantize(graph).scales[1].clipped_fraction == 0.0
    assert scales[1].clipped_fraction > 0.0


def test_vgg11_becomes_integers_within_the_limits() -> None:
    """Eight convolutions, five pools, 32 x 32 x 3: the chain that users bring."""
    torch.manual_seed(0)
    student = to_spiking(build_model("vgg11", (3, 32, 32), 10, width=8), LIF(), 2).eval()
    network = quantize(fold_average_pooling(lower(student, (3, 32, 32)))).network
    assert check_limits(network) == []
    assert [c.kind for c in network.connections] == ["conv"] * 8 + ["dense"]
    assert network.populations[-1].shape == (10,) and network.connections[-1].weight.shape == (10, 64 * 2 * 2)


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Linear(2 * 12 * 8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.conv(x))
        out: torch.Tensor = self.head((x + self.conv(x)).flatten(1))
        return out


def _broken(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), *layers)


_HEAD = (nn.Flatten(), nn.Linear(4 * 12 * 8, 5))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_broken(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 6 * 4, 5)), "layer '2': MaxPool2d cannot run on loihi2"),
        (_broken(nn.Sigmoid(), *_HEAD), "layer '2': Sigmoid cannot run"),
        (_broken(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), *_HEAD), "layer '2': batch norm"),
        (_broken(nn.AvgPool2d(5), nn.Flatten(), nn.Linear(8, 5)), "layer '2': pooling"),
        (_broken(nn.AvgPool2d(3, 1, 1), *_HEAD), "layer '2': AvgPool2d with padding"),
        (_broken(nn.Conv2d(4, 4, 3, padding="same"), *_HEAD), "layer '2': padding 'same'"),
        (_broken(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), *_HEAD), "layer '3': follows '2' without neurons"),
        (_broken(nn.Linear(8, 5), nn.Flatten()), "layer '2': Linear on an input of shape"),
        (nn.Sequential(nn.Flatten(), nn.Linear(2 * 12 * 8, 5), nn.ReLU()), "layer '2': neurons at the end"),
        (_Residual(), "residual addition of 'relu' and 'conv_2', read by 'flatten': only neurons can sum up"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_layer_that_cannot_be_lowered_is_named(model: nn.Module, message: str) -> None:
    student = to_spiking(model, timesteps=2)
    with pytest.raises(NeurokdError) as caught:
        _quantized(student)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value: float) -> None:
    student = _student()
    student.net[5].weight.data[0, 0, 0, 0] = value
    with pytest.raises(NeurokdError, match="layer '5': NaN or infinite"):
        _quantized(student)


def test_an_all_zero_layer_is_refused() -> None:
    student = _student()
    student.net[13].weight.data.zero_()
    with pytest.raises(NeurokdError, match="layer '13': all weights are zero"):
        _quantized(student)
