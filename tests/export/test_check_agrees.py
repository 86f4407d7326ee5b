"""What the check calls deployable the export does not refuse, and the other way round, over families of models."""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.export.contract.check import check_model
from neurokd.export.contract.target import TARGETS
from neurokd.export.lower import lower
from neurokd.export.network_files.network_file import write_network
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.export.quantization.quantize import quantize
from neurokd.neurons import LIF
from neurokd.spiking import SpikingNetwork, to_spiking

SHAPE = (2, 8, 8)
LOIHI2 = TARGETS["loihi2"]


def exports(student: SpikingNetwork, folder: Path) -> str | None:
    """Why the export refuses, or None."""
    try:
        folded = fold_average_pooling(fold_scale(lower(student, SHAPE)))
        write_network(quantize(folded).network, folder / "network.net")
    except NeurokdError as error:
        return str(error)
    return None


LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "conv": lambda channels: nn.Conv2d(channels, 3, 3, padding=1),
    "grouped conv": lambda channels: nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
    "strided conv": lambda channels: nn.Conv2d(channels, 3, 3, stride=2, padding=1, bias=False),
    "unpadded conv": lambda channels: nn.Conv2d(channels, channels, 1, groups=channels),
    "same": lambda channels: nn.Conv2d(channels, 3, 3, padding="same"),
    "batch norm": nn.BatchNorm2d,
    "relu": lambda channels: nn.ReLU(),
    "average pool": lambda channels: nn.AvgPool2d(2),
    "adaptive pool": lambda channels: nn.AdaptiveAvgPool2d(2),
    "max pool": lambda channels: nn.MaxPool2d(2),
    "dropout": lambda channels: nn.Dropout(0.5),
    "gelu": lambda channels: nn.GELU(),
}
GOOD = (
    ("conv", "relu"),
    ("conv", "batch norm", "relu"),
    ("grouped conv", "relu", "average pool"),
    ("dropout",),
    ("batch norm", "unpadded conv", "relu"),
)
PARTS = st.one_of(st.sampled_from(GOOD), st.sampled_from(sorted(LAYERS)).map(lambda name: (name,)))
PLANS = st.lists(PARTS, min_size=1, max_size=5).map(lambda parts: [name for part in parts for name in part])
ENDS = st.sampled_from(("linear", "linear", "linear and relu", "no flatten", "conv"))


def build(plan: list[str], end: str) -> nn.Module:
    """The layers of `plan`, in order, and a head that fits them."""
    layers, channels = [nn.Conv2d(2, 3, 3, padding=1), nn.ReLU()], 3
    for name in plan:
        layers.append(LAYERS[name](channels))
    with torch.no_grad():
        features = nn.Sequential(*layers).eval()(torch.zeros(1, *SHAPE)).flatten(1).shape[1]
    if end == "conv":
        return nn.Sequential(*layers, nn.Conv2d(channels, 4, 1), nn.Flatten())
    head: list[nn.Module] = [] if end == "no flatten" else [nn.Flatten()]
    size = int(nn.Sequential(*layers).eval()(torch.zeros(1, *SHAPE)).shape[-1]) if end == "no flatten" else features
    return nn.Sequential(*layers, *head, nn.Linear(size, 4), *([nn.ReLU()] if end == "linear and relu" else []))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=PLANS, end=ENDS, neuron=st.sampled_from((LIF(), LIF(decay=1.0), LIF(reset="soft"), LIF(initial=0.5))))
def test_deployable_means_that_the_export_does_not_refuse(
    tmp_path: Path, plan: list[str], end: str, neuron: LIF
) -> None:
    torch.manual_seed(len(plan))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ann = build(plan, end)
    except RuntimeError:  # pooled away to nothing: no such model exists
        return
    student = to_spiking(ann, neuron, timesteps=2).eval()
    target = LOIHI2 if neuron.reset == "hard" and not neuron.initial else TARGETS["loihi2-microcode"]
    verdict, refused = check_model(student, SHAPE, target, weights=True), exports(student, tmp_path)
    event("deployable" if verdict.deployable else "refused")
    assert verdict.deployable == (refused is None), (plan, end, refused, [f.text for f in verdict.findings])
    assert all(finding.rule != "export" for finding in verdict.findings), [f.text for f in verdict.findings]
