"""One tiny model per rule, broken in exactly this way; and what is called deployable really becomes integers."""

import sys
import types
from collections.abc import Callable

import pytest
import torch
from torch import nn

from neurokd.conversion import convert, to_qcfs
from neurokd.errors import NeurokdError
from neurokd.export.contract.check import Verdict, check_model, check_recipe
from neurokd.export.contract.rules import RULES
from neurokd.export.contract.target import TARGETS, find_target
from neurokd.models import build_model
from neurokd.neurons import LIF
from neurokd.recipe import parse_recipe
from neurokd.spiking import to_spiking

SHAPE = (2, 8, 8)
LOIHI2 = TARGETS["loihi2"]


def checked(ann: nn.Module, neuron: LIF | None = None, *, target: str = "loihi2", weights: bool = False) -> Verdict:
    """The verdict on the spiking form of `ann`."""
    student = to_spiking(ann, neuron or LIF(), timesteps=2)
    return check_model(student, SHAPE, TARGETS[target], weights=weights)


def chain(*middle: nn.Module, channels: int = 3, size: int = 8) -> nn.Sequential:
    """conv, ReLU, `middle`, flatten, linear, for maps of `channels` x `size` x `size` behind the middle."""
    head = (nn.Flatten(), nn.Linear(channels * size * size, 4))
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), *middle, *head)


class Forward(nn.Module):
    """A conv, a ReLU and a linear layer, with a function of the user's between."""

    def __init__(self, between: Callable[["Forward", torch.Tensor], torch.Tensor], features: int = 192) -> None:
        super().__init__()
        self.between = between
        self.conv, self.relu, self.norm = nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(3)
        self.conv2, self.relu2 = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()
        self.pool, self.strided = nn.AvgPool2d(2), nn.Conv2d(3, 3, 2, stride=2)
        self.head, self.shift = nn.Linear(features, 4), nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.between(self, self.relu(self.conv(x))).flatten(1))
        return out


class TwoInputs(Forward):
    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return super().forward(x)


class TwoOutputs(Forward):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.relu(self.conv(x))
        return self.head(features.flatten(1)), features  # type: ignore[return-value]


class DataDependent(Forward):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if x.sum() > 0 else -x)


def _branch(m: Forward, x: torch.Tensor) -> torch.Tensor:
    m.conv2(x)
    return x


def _sew(m: Forward, x: torch.Tensor) -> torch.Tensor:
    return m.relu2(m.conv2(x)) + x


def _sew_twice(m: Forward, x: torch.Tensor) -> torch.Tensor:
    x = _sew(m, x)
    return m.relu2(m.conv2(x)) + x


def _pooled_shortcut(m: Forward, x: torch.Tensor) -> torch.Tensor:
    return m.relu2(m.strided(x) + m.pool(m.conv2(x)))


BROKEN: list[tuple[nn.Module, list[tuple[str, str, str]]]] = [
    (chain(nn.MaxPool2d(2), size=4), [("2", "layer", "max pooling 2x2")]),
    (chain(nn.MaxPool2d((2, 4)), channels=3 * 4 * 2, size=1), [("2", "layer", "max pooling 2x4")]),
    (chain(nn.GELU()), [("2", "layer", "GELU")]),
    (chain(nn.LayerNorm(8)), [("2", "layer", "LayerNorm")]),
    (Forward(lambda m, x: torch.relu(x)), [("", "layer", "function 'relu' after 'relu'")]),
    (Forward(lambda m, x: x.view(x.size(0), -1)), [("", "layer", "function 'size'"), ("", "layer", "function 'view'")]),
    (Forward(lambda m, x: nn.functional.max_pool2d(x, 2), 48), [("", "layer", "max pooling after 'relu'")]),
    (Forward(lambda m, x: x + m.shift), [("", "layer", "addition of a constant after 'relu'")]),
    (Forward(lambda m, x: m.conv2(x) + x), [("", "addition place", "residual addition of 'conv2' and 'relu'")]),
    (Forward(_sew), [("", "spike addition", "spike-element-wise addition of 'relu2' and 'relu', 0, 1 or 2,")]),
    (Forward(_sew_twice), [
        ("", "spike addition", "of 'relu2' and 'relu'"), ("", "spike addition", "of 'relu2' and the add"),
    ]),
    (Forward(lambda m, x: m.relu2(m.norm(x + m.conv2(x)) + m.norm(m.conv2(x)))), [
        ("norm", "batch norm", "more than once"),
    ]),
    (Forward(lambda m, x: m.relu2(nn.functional.avg_pool2d(m.conv2(x), 1) + x)), [
        ("", "layer", "function 'avg_pool2d' after 'conv2'"),
    ]),
    (Forward(_pooled_shortcut, 48), [("pool", "pooling place", "before 'relu2'")]),
    (Forward(lambda m, x: torch.cat([x, x.mul(2)], 1), 384), [
        ("", "layer", "function 'mul' after 'relu'"), ("", "branches", "concatenation of 'relu' and the mul"),
    ]),
    (Forward(_branch), [("conv2", "unused", "nothing uses")]),
    (TwoInputs(lambda m, x: x), [("", "unused", "nothing uses"), ("", "inputs", "second input 'mask'")]),
    (TwoOutputs(lambda m, x: x), [("", "outputs", "returns a tuple")]),
    (DataDependent(lambda m, x: x), [("", "trace", "cannot be traced")]),
    (chain(nn.Conv2d(3, 3, 3, padding="same"), nn.ReLU()), [("2", "padding", "padding 'same'")]),
    (chain(nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"), nn.ReLU()), [("2", "padding", "with 'reflect'")]),
    (nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4)), [("0", "flat input", "(2, 8, 8)")]),
    (nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(2), nn.Flatten(), nn.Linear(108, 4)), [
        ("2", "flatten", "Flatten(2, -1)"),
    ]),
    (chain(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()), [
        ("2", "batch norm", "batch normalisation after '1', before the padded '3'"),
    ]),
    (chain(nn.BatchNorm2d(3, track_running_stats=False)), [("2", "batch norm", "batch normalisation after '1'")]),
    (chain(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False), nn.ReLU()), [
        ("3", "batch norm", "without running statistics"),
    ]),
    (Forward(lambda m, x: m.relu2(m.norm(m.conv2(m.relu(m.conv2(x)))))), [("norm", "batch norm", "more than once")]),
    (chain(nn.AvgPool2d(3, 1, 1)), [("2", "pooling windows", "with padding")]),
    (chain(nn.AvgPool2d(3), size=2), [("2", "pooling windows", "3x3 over a map of 8x8, which drops pixels")]),
    (chain(nn.AvgPool2d(2, 1), size=7), [("2", "pooling windows", "2x2 with stride 1x1")]),
    (chain(nn.AdaptiveAvgPool2d(3), size=3), [("2", "pooling windows", "uneven windows")]),
    (chain(nn.Conv2d(3, 3, 1), nn.AvgPool2d(2), nn.ReLU(), size=4), [("3", "pooling place", "before '4'")]),
    (chain(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.ReLU()), [("3", "neurons between", "follows '2'")]),
    (chain(nn.ReLU()), [("2", "weights between", "follow '1'")]),
    (nn.Sequential(nn.ReLU(), *chain()), [("0", "weights between", "follow 'input'")]),
    (nn.Sequential(*chain(), nn.ReLU()), [("", "read-out", "ends in '4' (LIF)")]),
    (nn.Sequential(nn.Conv2d(2, 3, 8), nn.ReLU(), nn.Conv2d(3, 4, 1)), [("", "read-out", "logits of shape (4, 1, 1)")]),
    (chain(size=7), [("", "shape", "192")]),
]  # fmt: skip


@pytest.mark.parametrize(("ann", "expected"), BROKEN, ids=lambda value: value[0][2] if isinstance(value, list) else "")
def test_each_violation_is_found_and_nothing_else(ann: nn.Module, expected: list[tuple[str, str, str]]) -> None:
    verdict = checked(ann)
    found = [(finding.layer, finding.rule, finding.found) for finding in verdict.violations]
    assert [(layer, rule) for layer, rule, _ in found] == [(layer, rule) for layer, rule, _ in expected], found
    for (_, _, text), (_, _, part) in zip(found, expected, strict=True):
        assert part in text
    for violation in verdict.violations:
        assert "cannot run on loihi2" in violation.text and "\n" not in violation.text


def test_every_rule_about_layers_is_broken_by_some_model() -> None:
    covered = {rule for _, expected in BROKEN for _, rule, _ in expected}
    elsewhere = {  # here and in test_check_weights.py, by models that torch cannot express or with neurons of their own
        "reset", "initial membrane", "custom neuron", "one population", "neuron", "scale place", "scale values",
        "undriven", "recurrent", "integrator place", "channel thresholds",
    }  # fmt: skip
    assert {rule.name for rule in RULES} == (covered | elsewhere) - {"trace", "shape"}


def test_all_violations_are_listed_with_their_layers() -> None:
    ann = chain(nn.MaxPool2d(2), nn.GELU(), nn.Conv2d(3, 3, 3, padding="same"), nn.Tanh(), size=4)
    found = {finding.layer: finding.text for finding in checked(ann, LIF(reset="soft")).violations}
    assert set(found) == {"1", "2", "3", "4", "5"}
    assert found["2"] == (
        "layer '2': max pooling 2x2 cannot run on loihi2; use average pooling or a strided convolution"
    )
    assert "reset: hard" in found["1"]


GOOD_ADDITIONS: dict[str, nn.Module] = {
    "identity": Forward(lambda m, x: m.relu2(m.conv2(x) + x)),
    "twice": Forward(lambda m, x: m.relu2(m.conv2(x) + x + m.conv2(x))),
    "normalised": Forward(lambda m, x: m.relu2(m.norm(m.conv2(x) + x))),
    "pooled": Forward(lambda m, x: m.relu2(m.strided(x) + m.pool(x)), 48),
}


@pytest.mark.parametrize("name", GOOD_ADDITIONS)
def test_additions_before_neurons_are_allowed(name: str) -> None:
    verdict = checked(GOOD_ADDITIONS[name], weights=True)
    assert verdict.deployable and verdict.findings == ()


def test_sew_resnet18_is_refused_naming_its_eight_additions() -> None:
    student = to_spiking(build_model("sew-resnet18", (3, 32, 32), 10, width=4, stem="small"), LIF(), 2)
    found = check_model(student, (3, 32, 32), LOIHI2, weights=False).violations
    blocks = [f"blocks.{stage}_{block}" for stage in (1, 2, 3, 4) for block in (1, 2)]
    assert [finding.layer for finding in found] == blocks
    assert found[0].text == (
        "layer 'blocks.1_1': spike-element-wise addition of 'blocks.1_1.relu2' and 'blocks.1_1.shortcut', 0, 1 or 2, "
        "cannot run on loihi2; add before the neurons, as a ResNet does"
    )


@pytest.mark.parametrize("name", ["resnet18", "resnet19", "resnet34", "resnet50"])
@pytest.mark.parametrize("target", TARGETS)
def test_residual_networks_of_ours_pass_on_every_target(name: str, target: str) -> None:
    student = to_spiking(build_model(name, (3, 32, 32), 10, width=4), LIF(), 2)
    verdict = check_model(student, (3, 32, 32), TARGETS[target], weights=name == "resnet18")
    assert verdict.deployable and verdict.findings == ()
    rows = {layer.name: layer for layer in verdict.layers}
    assert len(rows) == len(verdict.layers)
    if name == "resnet18":
        first, strided = rows["blocks.1_1.relu2"], rows["blocks.2_1.relu2"]
        assert (first.fan_in, first.weights) == (4 * 9 + 1, 4 * 4 * 9 + 4)  # a shortcut of ones, channel by channel
        assert (strided.fan_in, strided.weights) == (8 * 9 + 4, 8 * 8 * 9 + 8 * 4)  # a projection
        assert first.integers is not None and first.neurons == 4 * 32 * 32


@pytest.mark.parametrize("name", ["vgg11", "vgg-tiny"])
@pytest.mark.parametrize("target", TARGETS)
def test_chains_of_ours_pass_on_every_target(name: str, target: str) -> None:
    student = to_spiking(build_model(name, (3, 32, 32), 10, width=4), LIF(), 2)
    verdict = check_model(student, (3, 32, 32), TARGETS[target], weights=True)
    assert verdict.deployable and verdict.findings == ()
    shape, count = verdict.layers[0].shape, verdict.layers[0].neurons
    assert shape == (4, 32, 32) and count == 4096 and verdict.layers[0].fan_in == 27
    assert verdict.layers[-1].name == "classifier" and verdict.layers[-1].shape == (10,)
    integers = [layer.integers for layer in verdict.layers]
    assert all(i and 2 <= i.weight <= LOIHI2.weight and i.bias <= LOIHI2.bias for i in integers)


def test_a_network_larger_than_a_chip_is_noted() -> None:
    student = to_spiking(build_model("vgg11", (3, 32, 32), 10), LIF(), 2)
    verdict = check_model(student, (3, 32, 32), LOIHI2, weights=False)
    by_hand = {"relu1": 65536 // 8192, "relu7": -(-512 * 512 * 6 * 6 // (128 * 1024))}  # neurons bind; weights bind
    cores = {layer.name: layer.cores_at_least for layer in verdict.layers}
    assert {name: cores[name] for name in by_hand} == by_hand
    (note,) = verdict.findings
    assert verdict.deployable and note.rule == "cores" and "'relu7'" in note.text


@pytest.mark.parametrize(
    ("neuron", "rule"),
    [(LIF(reset="soft"), "reset"), (LIF(initial=0.5), "initial membrane")],
    ids=["soft reset", "initial membrane"],
)
@pytest.mark.parametrize("target", ["loihi2-microcode", "lava-cpu"])
def test_what_needs_a_custom_neuron_is_refused_or_flagged(neuron: LIF, rule: str, target: str) -> None:
    refused = checked(chain(), neuron)
    assert [finding.rule for finding in refused.violations] == [rule]
    flagged = checked(chain(), neuron, target=target, weights=True)
    assert flagged.deployable and flagged.weights_checked
    assert [(f.layer, f.rule, f.severity) for f in flagged.findings] == [("1", "custom neuron", "note")]
    assert TARGETS[target].custom in flagged.findings[0].text


def test_a_converted_network_is_checked_through_its_trained_thresholds() -> None:
    qcfs = to_qcfs(chain(nn.MaxPool2d(2), nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), size=4), threshold=2.0)
    soft = check_model(convert(qcfs, timesteps=4), SHAPE, LOIHI2, weights=True)
    assert [(finding.layer, finding.rule) for finding in soft.violations] == [
        (layer, rule) for layer in ("1.spikes", "4.spikes") for rule in ("reset", "initial membrane")
    ]
    hard = check_model(convert(qcfs, timesteps=4, neuron=LIF(decay=1.0)), SHAPE, LOIHI2, weights=True)
    assert hard.deployable and hard.weights_checked and hard.layers[0].name == "1.spikes"


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(NeurokdError, match="'tpu' is unknown; allowed are loihi2, loihi2-microcode"):
        find_target("tpu")


def test_a_model_that_cannot_run_on_the_image_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    (violation,) = checked(chain(size=7)).violations
    assert violation.rule == "shape" and "\n" not in violation.text
    assert capfd.readouterr() == ("", "")


def test_the_model_is_left_alone() -> None:
    student = to_spiking(chain(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()), LIF(), 2)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    check_model(student, SHAPE, LOIHI2, weights=True)
    assert student.training and all(torch.equal(before[k], v) for k, v in student.state_dict().items())


def test_relu_functions_are_named_where_nothing_can_be_swapped() -> None:
    recipe = {"name": "own", "data": {"name": "digits"}, "model": {"name": "tests_own_models:functions_only"}}
    with pytest.MonkeyPatch.context() as patch:
        module = types.ModuleType("tests_own_models")
        module.functions_only = _functions_only  # type: ignore[attr-defined]
        patch.setitem(sys.modules, "tests_own_models", module)
        verdict = check_recipe(parse_recipe(recipe), LOIHI2)
    assert [(f.layer, f.rule) for f in verdict.violations] == [("", "layer")]
    assert "function 'relu' after 'conv'" in verdict.violations[0].text
    assert "nn.ReLU" in verdict.violations[0].advice


def _functions_only(input_shape: tuple[int, int, int], classes: int) -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(input_shape[0], 2, 3), nn.Linear(2 * 14 * 14, classes)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(nn.functional.relu(self.conv(x)).flatten(1))
            return out

    return Net()


def test_a_plain_ann_is_refused_with_a_hint() -> None:
    recipe = {"name": "ann", "data": {"name": "digits"}, "model": {"name": "vgg-tiny"}, "neuron": None, "timesteps": 1}
    (violation,) = check_recipe(parse_recipe(recipe), LOIHI2).violations
    assert "plain ANN" in violation.found and "neuron: {decay: 0.5}" in violation.advice
