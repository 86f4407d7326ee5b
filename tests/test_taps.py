"""Features by module path: which points are found in which network, and what is read at them."""

import copy
import gc
import weakref

import pytest
import torch
import torchvision
from torch import nn

from neurokd.conversion import convert, to_qcfs
from neurokd.errors import NeurokdError
from neurokd.models import build_model
from neurokd.neurons import LIF
from neurokd.spiking import to_spiking
from neurokd.taps import Point, Recorder, activations, blocks, last_calls, module_at, stages

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def mlp() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 32 * 32, 12), nn.ReLU(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 5)
    )


def torchvision_resnet() -> nn.Module:
    """torchvision's own, as it comes: one in-place ReLU in each block, called twice."""
    return torchvision.models.resnet18(num_classes=5)


def names(points: list[Point]) -> list[str]:
    return [f"{point.path}:{point.call}" if point.call else point.path for point in points]


def test_a_network_without_activations_has_no_points() -> None:
    assert stages(activations(nn.Sequential(nn.Flatten(), nn.Linear(3072, 5)), IMAGES)) == []


def test_vgg_tiny_has_one_activation_at_each_resolution() -> None:
    model = build_model("vgg-tiny", (3, 32, 32), 5, width=2)
    points = activations(model, IMAGES)
    assert names(points) == names(stages(points)) == names(blocks(model, points)) == ["relu1", "relu2", "relu3"]
    assert [point.shape for point in points] == [(2, 32, 32), (4, 16, 16), (8, 8, 8)]


def test_the_stages_of_a_vgg_end_before_its_pools_and_every_activation_is_a_block() -> None:
    model = build_model("vgg11", (3, 32, 32), 5, width=2)
    points = activations(model, IMAGES)
    assert names(stages(points)) == ["relu1", "relu2", "relu4", "relu6", "relu8"]
    assert names(blocks(model, points)) == [f"relu{number}" for number in range(1, 9)]


@pytest.mark.parametrize("spiking", [False, True])
def test_a_resnet_ends_its_stages_and_blocks_at_the_last_activation(spiking: bool) -> None:
    """Teacher and student count paths alike: those of the ANN that both come from."""
    ann = build_model("resnet18", (3, 32, 32), 5, width=2)
    model = to_spiking(ann, timesteps=3) if spiking else ann
    points = activations(model, IMAGES)
    assert names(stages(points)) == [f"blocks.{stage}_2.relu2" for stage in (1, 2, 3, 4)]
    ends = [f"blocks.{stage}_{block}.relu2" for stage in (1, 2, 3, 4) for block in (1, 2)]
    assert names(blocks(model, points)) == ["relu1", *ends]
    assert [point.shape for point in stages(points)] == [(2, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4)]


def test_the_calls_of_a_reused_module_are_told_apart() -> None:
    model = torchvision_resnet()
    points = activations(model, IMAGES)
    assert names(points)[:5] == ["relu", "layer1.0.relu", "layer1.0.relu:1", "layer1.1.relu", "layer1.1.relu:1"]
    ends = [f"layer{stage}.{block}.relu:1" for stage in (1, 2, 3, 4) for block in (0, 1)]
    assert names(blocks(model, points)) == ["relu", *ends]
    assert names(stages(points)) == ["relu", *(f"layer{stage}.1.relu:1" for stage in (1, 2, 3, 4))]
    recorder = Recorder(model.eval(), [p for p in points if p.path == "layer4.1.relu"], "after")
    model(IMAGES)
    first, second = recorder.features
    assert not torch.equal(first, second)
    torch.testing.assert_close(second, last_block_of(model))


def last_block_of(model: nn.Module) -> torch.Tensor:
    """What the pass gives behind the last block, by calling torchvision's layers one by one."""
    x = model.maxpool(torch.relu(model.bn1(model.conv1(IMAGES))))
    for layer in (model.layer1, model.layer2, model.layer3, model.layer4):
        x = layer(x)
    return x


def test_the_vectors_of_an_mlp_are_points_too() -> None:
    points = activations(mlp(), IMAGES)
    assert [(point.path, point.shape) for point in stages(points)] == [("2", (12,)), ("4", (9,))]


def test_converted_neurons_and_qcfs_stand_at_the_paths_of_the_ann() -> None:
    """The neurons inside a layer with a threshold are no points of their own."""
    qcfs = to_qcfs(build_model("resnet18", (3, 32, 32), 5, width=2), levels=4)
    converted = convert(qcfs, timesteps=3)
    ours, theirs = activations(converted, IMAGES), activations(qcfs, IMAGES)
    assert ours == theirs and len(ours) == 17
    assert names(blocks(converted, ours)) == names(blocks(qcfs, theirs))


def features(model: nn.Module, paths: list[str], position: str = "after") -> list[torch.Tensor]:
    """The features at the last calls of modules in a pass in evaluation mode."""
    recorder = Recorder(model.eval(), last_calls(model, paths, IMAGES, position), position)
    with torch.no_grad():
        model(IMAGES)
    found = recorder.features
    recorder.close()
    return found


def test_after_a_neuron_are_its_spikes_and_before_it_its_current() -> None:
    ann = build_model("vgg-tiny", (3, 32, 32), 5, width=2)
    student = to_spiking(ann, LIF(decay=0.5), timesteps=4).eval()
    (spikes,), (current,) = (features(student, ["relu2"], position) for position in ("after", "before"))
    assert spikes.shape == current.shape == (4, 2, 4, 16, 16)
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    membrane = torch.zeros_like(current[0])
    for x, fired in zip(current, spikes, strict=True):
        membrane = 0.5 * membrane + x
        assert torch.equal(membrane > 1.0, fired.bool())
        membrane = membrane * (1 - fired)


def test_before_the_first_neuron_there_is_one_step() -> None:
    """A static image passes those layers once, so their features are `[1, B, ...]`; behind it there are T."""
    student = to_spiking(build_model("vgg-tiny", (3, 32, 32), 5, width=2), timesteps=4)
    assert features(student, ["relu1"], "before")[0].shape == (1, 2, 2, 32, 32)
    assert features(student, ["conv1", "relu1", "conv2"])[0].shape == (1, 2, 2, 32, 32)
    assert features(student, ["conv1", "relu1", "conv2"])[1].shape == (4, 2, 2, 32, 32)


def test_an_ann_has_no_steps() -> None:
    assert features(mlp(), ["2"])[0].shape == (2, 12)


def test_the_input_of_a_module_has_a_shape_of_its_own() -> None:
    model = build_model("vgg-tiny", (3, 32, 32), 5, width=2)
    (point,) = last_calls(model, ["conv2"], IMAGES, "before")
    assert point.shape == (2, 16, 16) == tuple(features(model, ["conv2"], "before")[0].shape[1:])
    assert last_calls(model, ["conv2"], IMAGES)[0].shape == (4, 16, 16)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6])
def test_before_an_in_place_activation_there_are_negative_values(activation: type[nn.Module]) -> None:
    """The module overwrites its input; the tap keeps what was there before."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), activation(inplace=True), nn.Flatten(), nn.LazyLinear(5))
    with torch.no_grad():
        expected = model[0](IMAGES)
    (before,), (after,) = features(model, ["1"], "before"), features(model, ["1"])
    assert (before < 0).any() and torch.equal(before, expected)
    assert torch.equal(after, activation()(expected))


def test_a_feature_that_is_overwritten_later_is_refused() -> None:
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.relu(x)
            y += x
            return y

    with pytest.raises(NeurokdError, match="tap 'relu': the network overwrites this feature in place; tap another"):
        features(Overwriting(), ["relu"])


def test_an_unknown_path_shows_the_nearest() -> None:
    model = build_model("resnet18", (3, 32, 32), 5, width=2)
    with pytest.raises(
        NeurokdError, match=r"tap 'blocks\.2_2\.relu': ResNet has no such module; nearest are .*2_2\.relu"
    ):
        module_at(model, "blocks.2_2.relu")
    with pytest.raises(NeurokdError, match=r"nearest are 'conv1', 'bn1', 'relu1'"):
        last_calls(to_spiking(model), ["zzzzzz"], IMAGES)


def test_a_module_that_is_not_called_or_gives_no_tensor_is_named() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle, self.pool = nn.ReLU(), nn.MaxPool2d(2, return_indices=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.pool(x)[0]

    with pytest.raises(NeurokdError, match="tap 'idle': its module is never called"):
        last_calls(Odd(), ["idle"], IMAGES)
    with pytest.raises(NeurokdError, match="tap 'pool': gives a tuple, no tensor"):
        last_calls(Odd(), ["pool"], IMAGES)


def test_one_module_may_be_tapped_twice() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    points = last_calls(network, ["1", "1"], IMAGES)
    recorder = Recorder(network, points, "after")
    output = network(IMAGES)
    assert [point.call for point in points] == [0, 0]
    assert all(torch.equal(feature, output) for feature in recorder.features)


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("position", ["after", "before"])
def test_taps_leave_a_network_as_it_was(position: str) -> None:
    model = build_model("resnet18", (3, 32, 32), 5, width=2)
    before, state = model.eval()(IMAGES), copy.deepcopy(model.state_dict())
    model.train()
    model.bn1.eval()  # a mode of its own, as frozen layers have it
    modes = [module.training for module in model.modules()]
    recorder = Recorder(model, activations(model, IMAGES), position)
    assert hooks(model) == 18  # one for each activation, one that begins a pass
    assert [module.training for module in model.modules()] == modes
    with torch.no_grad():
        assert torch.equal(model.eval()(IMAGES), before)
    recorder.close()
    assert hooks(model) == 0
    assert all("forward" not in vars(module) for module in model.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_a_failing_pass_leaves_no_hooks() -> None:
    model = mlp()
    with pytest.raises(RuntimeError):
        activations(model, torch.rand(2, 7))
    assert hooks(model) == 0


def test_features_are_of_the_last_pass_and_go_with_clear() -> None:
    model = mlp()
    recorder = Recorder(model, activations(model, IMAGES), "after")
    model(IMAGES)
    model(IMAGES[:1])
    assert [feature.shape[0] for feature in recorder.features] == [1, 1]
    kept = weakref.ref(recorder.features[0])
    recorder.clear()
    gc.collect()
    assert kept() is None
