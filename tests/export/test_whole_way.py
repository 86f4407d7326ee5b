"""From a torch model to Lava: models of every shape that users bring, in one Lava process."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.export.lower import lower
from neurokd.export.network_files.network_file import read_network, write_network
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.export.proof.verify import compare
from neurokd.export.quantization.calibrate import float_logits, integer_logits
from neurokd.export.quantization.quantize import quantize
from neurokd.hardware.lava.runner import LavaJob, run_lava_many
from neurokd.hardware.simulator import simulate
from neurokd.models import build_model
from neurokd.models.residual import BasicBlock
from neurokd.neurons import LIF
from neurokd.spiking import SpikingNetwork, to_spiking

IMAGES = 4
SOFT = LIF(decay=1.0, reset="soft", initial=0.5)


def _models() -> dict[str, tuple[nn.Module, tuple[int, int, int]]]:
    return {
        "dense only": (nn.Sequential(nn.Flatten(), nn.Linear(60, 20), nn.ReLU(), nn.Linear(20, 4)), (2, 6, 5)),
        "pooling first": (
            nn.Sequential(
                nn.AvgPool2d(2), nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
                nn.Flatten(), nn.Linear(48, 20), nn.ReLU(), nn.Linear(20, 4),
            ),
            (2, 6, 8),
        ),
        "strides, depthwise, global pooling": (
            nn.Sequential(
                nn.Conv2d(2, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(),
                nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU(),
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4),
            ),
            (2, 9, 13),
        ),
        "grouped and dilated first layer": (
            nn.Sequential(
                nn.Conv2d(2, 4, (3, 2), groups=2, dilation=(1, 2)), nn.BatchNorm2d(4), nn.ReLU(),
                nn.Flatten(), nn.Linear(4 * 7 * 11, 4),
            ),
            (2, 9, 13),
        ),
        "pooling twice": (
            nn.Sequential(
                nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.AvgPool2d((2, 1)),
                nn.Conv2d(3, 5, 2, padding=1), nn.ReLU(), nn.AvgPool2d((3, 7)), nn.Flatten(), nn.Linear(5, 3),
            ),
            (1, 8, 12),
        ),
        "shortcuts": (_residual(), (2, 8, 6)),
        "soft reset": (nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 4)), (2, 8, 6)),
        "shortcuts and soft reset": (_residual(), (2, 8, 6)),
    }  # fmt: skip


def _residual() -> nn.Module:
    """A shortcut of spikes, one through a strided projection, and global pooling."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), BasicBlock(4, 4, 1), BasicBlock(4, 6, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4),
    )  # fmt: skip


def _student(ann: nn.Module, neuron: LIF) -> SpikingNetwork:
    """Weights large enough that every layer fires."""
    with torch.no_grad():
        for module in ann.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.mul_(4.0)
                if module.bias is not None:
                    module.bias.add_(0.4)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr,operator]
                module.bias.uniform_(-0.2, 0.8)
    return to_spiking(ann, neuron, 3).eval()


@pytest.mark.lava
def test_every_shape_of_model_runs_on_lava_as_in_the_simulator(tmp_path: Path) -> None:
    torch.manual_seed(0)
    jobs, networks = [], []
    for index, (name, (ann, shape)) in enumerate(_models().items()):
        student = _student(ann, SOFT if "soft reset" in name else LIF())
        images = ImageSet(
            torch.randint(0, 256, (40, *shape), dtype=torch.uint8), torch.zeros(40, dtype=torch.int64)
        )  # fmt: skip
        network = quantize(fold_average_pooling(lower(student, shape))).network
        wanted, got = float_logits(student, images), integer_logits(network, images)
        assert np.corrcoef(wanted.ravel(), got.ravel())[0, 1] > 0.9, name  # no margins; a wrong axis or tap gives less
        write_network(network, tmp_path / f"{index}.net")
        networks.append(read_network(tmp_path / f"{index}.net"))
        frames = networks[-1].input.encode(images.images[:IMAGES].numpy())
        jobs.append(LavaJob(tmp_path / f"{index}.net", frames))
    for network, job, theirs, name in zip(networks, jobs, run_lava_many(jobs), _models(), strict=True):
        ours = simulate(network, job.inputs)
        spikes = [int(ours.spikes[p.name].sum()) for p in network.populations if p.name != network.readout]
        assert min(spikes) > 0, name
        assert compare(ours, theirs).mismatches == 0, f"{name}: {compare(ours, theirs).describe()}"


@pytest.mark.lava
def test_deep_residual_networks_run_on_lava_as_in_the_simulator(tmp_path: Path) -> None:
    """ResNet-18 and ResNet-19, narrow: 18 and 19 levels, shortcuts over two of them, and every level fires."""
    torch.manual_seed(0)
    jobs, networks = [], []
    for name in ("resnet18", "resnet19"):
        ann = build_model(name, (3, 16, 16), 10, width=4)
        for module in ann.modules():
            if isinstance(module, nn.BatchNorm2d | nn.Linear):
                nn.init.constant_(module.bias, 0.6)
        student = to_spiking(ann, LIF(), 2)
        with torch.no_grad():
            for _ in range(20):
                student.train()(torch.rand(16, 3, 16, 16))
        graph = fold_average_pooling(fold_scale(lower(student.eval(), (3, 16, 16))))
        write_network(quantize(graph).network, tmp_path / f"{name}.net")
        networks.append(read_network(tmp_path / f"{name}.net"))
        images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
        jobs.append(LavaJob(tmp_path / f"{name}.net", networks[-1].input.encode(images.numpy())))
    for network, job, theirs in zip(networks, jobs, run_lava_many(jobs, fast=True), strict=True):
        ours = simulate(network, job.inputs)
        fired = [int(ours.spikes[p.name].sum()) for p in network.populations if p.name != network.readout]
        assert len(fired) >= 17 and min(fired) > 0, fired
        assert compare(ours, theirs).mismatches == 0, compare(ours, theirs).describe()


def test_a_large_bias_rides_on_the_constant_plane_of_a_dense_first_layer_too() -> None:
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Flatten(), nn.Linear(60, 20), nn.ReLU(), nn.Linear(20, 4))
    nn.init.constant_(ann[1].bias, 0.7)
    network = quantize(lower(to_spiking(ann, LIF(), 2), (2, 6, 5))).network
    first, population = network.connections[0].weight, network.populations[0]
    assert network.input.shape == (3, 6, 5) and first.shape == (20, 90)
    rest = 0 if population.bias is None else population.bias
    total = first[:, 60:].sum(axis=1) * 255 + rest
    assert np.abs(total / int(population.threshold) - 0.7).max() < 1e-3
