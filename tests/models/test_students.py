"""Every model as a student: neurons for each activation, and a chain that can be lowered."""

import pytest
import torch
from torch import nn

from neurokd.export.lower import lower
from neurokd.models import MODELS, build_model
from neurokd.neurons import LIF
from neurokd.spiking import LIFNeurons, to_spiking

CASES = [(name, shape) for name in MODELS for shape in [(1, 28, 28), (3, 32, 32)]]
EVENTS = [(name, (2, 48, 48)) for name in ("vgg-snn", "snn5")]


@pytest.mark.parametrize(("name", "shape"), [*CASES, *EVENTS])
def test_every_activation_becomes_one_layer_of_neurons(name: str, shape: tuple[int, int, int]) -> None:
    ann = build_model(name, shape, 7, width=4)
    student = to_spiking(ann, LIF(), timesteps=2)
    calls: dict[str, int] = {}
    for path, module in student.named_modules():
        if isinstance(module, LIFNeurons):
            calls[path] = 0
            module.register_forward_hook(lambda _m, _i, _o, path=path: calls.update({path: calls[path] + 1}))
    logits = student(torch.rand(3, *shape))
    assert logits.shape == (2, 3, 7) and bool(logits.isfinite().all())
    assert len(calls) == sum(isinstance(module, nn.ReLU) for module in ann.modules())
    assert set(calls.values()) == {1}


def test_frames_of_events() -> None:
    student = to_spiking(build_model("snn5", (2, 16, 16), 11, width=4), timesteps=3)
    assert student(torch.rand(3, 2, 2, 16, 16)).shape == (3, 2, 11)


def test_sew_blocks_add_spikes() -> None:
    torch.manual_seed(0)
    student = to_spiking(build_model("sew-resnet18", (3, 32, 32), 7, width=8, stem="small"), timesteps=2)
    block = student.get_submodule("net.blocks.4_1")  # its shortcut has neurons too
    seen: list[torch.Tensor] = []
    block.register_forward_hook(lambda _m, _i, output: seen.append(output))
    student(torch.rand(4, 3, 32, 32))
    counts = set(seen[0].unique().tolist())
    assert counts <= {0.0, 1.0, 2.0} and 1.0 in counts


@pytest.mark.parametrize("name", ["vgg16", "vgg-snn", "snn5"])
def test_a_chain_is_lowered(name: str) -> None:
    ann = build_model(name, (2, 48, 48), 10, width=2)
    graph = lower(to_spiking(ann, LIF(), timesteps=2), (2, 48, 48))
    neurons = sum(type(node).__name__ == "LIF" for node in graph.nodes.values())
    assert neurons == sum(isinstance(module, nn.ReLU) for module in ann.modules())
