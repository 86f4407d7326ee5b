"""One tiny model per rule, broken in exactly this way; and what is called deployable really becomes integers."""

import itertools
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.export.check import Verdict, check_model, check_recipe
from neurokd.export.contract import RULES, WEIGHT_RULES, look_at
from neurokd.export.layers_of_nir import layers_of_nir
from neurokd.export.lower import lower
from neurokd.export.netx import write_netx
from neurokd.export.passes.fold_average_pooling import fold_average_pooling
from neurokd.export.passes.fold_scale import fold_scale
from neurokd.export.quantize import quantize
from neurokd.export.target import TARGETS, find_target
from neurokd.models import build_model
from neurokd.neurons import LIF
from neurokd.recipe import parse_recipe
from neurokd.spiking import SpikingNetwork, to_spiking

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


BROKEN: list[tuple[nn.Module, list[tuple[str, str, str]]]] = [
    (chain(nn.MaxPool2d(2), size=4), [("2", "layer", "max pooling 2x2")]),
    (chain(nn.MaxPool2d((2, 4)), channels=3 * 4 * 2, size=1), [("2", "layer", "max pooling 2x4")]),
    (chain(nn.GELU()), [("2", "layer", "GELU")]),
    (chain(nn.LayerNorm(8)), [("2", "layer", "LayerNorm")]),
    (Forward(lambda m, x: torch.relu(x)), [("", "layer", "function 'relu' after 'relu'")]),
    (Forward(lambda m, x: x.view(x.size(0), -1)), [("", "layer", "function 'size'"), ("", "layer", "function 'view'")]),
    (Forward(lambda m, x: nn.functional.max_pool2d(x, 2), 48), [("", "layer", "max pooling after 'relu'")]),
    (Forward(lambda m, x: x + m.shift), [("", "layer", "addition of a constant after 'relu'")]),
    (Forward(lambda m, x: m.conv2(x) + x), [("", "branches", "residual addition of 'conv2' and 'relu'")]),
    (Forward(_sew), [("", "branches", "spike-element-wise addition of 'relu2' and 'relu'")]),
    (Forward(lambda m, x: torch.cat([x, x.mul(2)], 1), 384), [
        ("", "layer", "function 'mul' after 'relu'"), ("", "branches", "concatenation of 'relu' and the mul"),
    ]),
    (Forward(_branch), [("relu", "branches", "feeds 'conv2' and the Flatten"), ("conv2", "unused", "nothing uses")]),
    (TwoInputs(lambda m, x: x), [("", "unused", "nothing uses"), ("", "inputs", "second input 'mask'")]),
    (TwoOutputs(lambda m, x: x), [("", "outputs", "returns a tuple")]),
    (DataDependent(lambda m, x: x), [("", "trace", "cannot be traced")]),
    (chain(nn.Conv2d(3, 3, 3, padding="same"), nn.ReLU()), [("2", "padding", "padding 'same'")]),
    (chain(nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"), nn.ReLU()), [("2", "padding", "with 'reflect'")]),
    (nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4)), [("0", "flat input", "(2, 8, 8)")]),
    (nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(2), nn.Flatten(), nn.Linear(108, 4)), [
        ("2", "flatten", "Flatten(2, -1)"),
    ]),
    (chain(nn.BatchNorm2d(3)), [("2", "batch norm", "batch normalisation after '1'")]),
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
    (nn.Sequential(nn.Conv2d(2, 3, 8), nn.ReLU(), nn.Conv2d(3, 4, 1), nn.Flatten()), [("", "read-out", "(Conv2d)")]),
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
    elsewhere = {  # in this file, by models that torch cannot express or that need a neuron of their own
        "reset", "initial membrane", "custom neuron", "one population", "neuron", "scale place", "scale values",
        "undriven",
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


def test_resnet18_is_refused_naming_its_eight_additions() -> None:
    student = to_spiking(build_model("resnet18", (3, 32, 32), 10, width=4), LIF(), 2)
    found = check_model(student, (3, 32, 32), LOIHI2, weights=False).violations
    blocks = [f"blocks.{stage}_{block}" for stage in (1, 2, 3, 4) for block in (1, 2)]
    assert [finding.layer for finding in found] == blocks
    assert all(f"residual addition of '{block}.bn2'" in f.found for block, f in zip(blocks, found, strict=True))


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


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(NeurokdError, match="'tpu' is unknown; allowed are loihi2, loihi2-microcode"):
        find_target("tpu")


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


# numbers: what only trained weights can break


def _weights(path: int, change: Callable[[torch.Tensor], object], bias: bool = False) -> Verdict:
    ann = chain(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())
    with torch.no_grad():
        change(ann[path].bias if bias else ann[path].weight)
    untrained = checked(ann)
    assert untrained.deployable
    return checked(ann, weights=True)


def test_weights_that_are_no_numbers_or_all_zero_are_all_listed() -> None:
    ann = chain(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())
    with torch.no_grad():
        ann[0].weight[0, 0, 0, 0] = torch.nan
        ann[2].bias[1] = torch.inf
        ann[5].weight.zero_()
    found = [(finding.layer, finding.rule) for finding in checked(ann, weights=True).violations]
    assert found == [("0", "finite"), ("2", "finite"), ("5", "not all zero")]


def test_dead_outputs_are_a_note() -> None:
    verdict = _weights(2, lambda weight: weight[1].zero_())
    assert verdict.deployable and [(f.layer, f.rule) for f in verdict.findings] == [("2", "dead outputs")]
    assert "1 of 3 outputs" in verdict.findings[0].text


def test_weights_too_large_beside_the_threshold() -> None:
    (violation,) = _weights(2, lambda weight: weight.mul_(1e6)).violations
    assert violation.rule == "export" and "layer '3'" in violation.text and "threshold" in violation.text


def test_a_dense_matrix_of_one_sign_that_netx_would_change() -> None:
    """1023 equal inputs over two steps leave room for weights of -64, of which netx makes -63."""
    ann = nn.Sequential(nn.Conv2d(2, 1023, 8), nn.ReLU(), nn.Flatten(), nn.Linear(1023, 4, bias=False))
    nn.init.constant_(ann[3].weight, -1.0)
    (violation,) = checked(ann, weights=True).violations
    assert violation.rule == "dense signs" and violation.layer == "3" and "netx would change" in violation.text


# NIR


def _nir(*nodes: tuple[str, nir.NIRNode], edges: list[tuple[str, str]] | None = None) -> nir.NIRGraph:
    names = [name for name, _ in nodes]
    found = edges if edges is not None else list(itertools.pairwise(names))
    return nir.NIRGraph(dict(nodes), found, metadata={"dt": 1e-3, "timesteps": 2}, type_check=False)


def _lif(size: int = 3, **changes: object) -> nir.LIF:
    values: dict[str, object] = {"tau": 2e-3, "r": 2.0, "v_leak": 0.0, "v_reset": 0.0, "v_threshold": 1.0} | changes
    return nir.LIF(**{key: np.broadcast_to(np.float32(value), size).copy() for key, value in values.items()})


INPUT, OUTPUT = ("in", nir.Input(np.array([4]))), ("out", nir.Output(np.array([2])))
FIRST, LAST = ("fc1", nir.Affine(np.ones((3, 4)), np.zeros(3))), ("fc2", nir.Affine(np.ones((2, 3)), np.zeros(2)))
SCALE = ("value", nir.Scale(np.full(3, 2.0)))


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (_nir(INPUT, FIRST, ("lif", _lif()), LAST, OUTPUT), []),
        (_nir(INPUT, FIRST, ("lif", _lif()), SCALE, LAST, OUTPUT), []),
        (_nir(INPUT, FIRST, ("if", nir.IF(np.full(3, 1e3), np.ones(3), np.zeros(3))), LAST, OUTPUT), []),
        (_nir(INPUT, FIRST, ("lif", _lif(v_threshold=[1, 2, 3])), LAST, OUTPUT), [("lif", "one population")]),
        (_nir(INPUT, FIRST, ("lif", _lif(v_reset=0.5)), LAST, OUTPUT), [("lif", "neuron")]),
        (_nir(INPUT, FIRST, ("lif", _lif(tau=5e-4)), LAST, OUTPUT), [("lif", "neuron")]),
        (_nir(INPUT, FIRST, ("lif", _lif(v_threshold=0.0)), LAST, OUTPUT), [("lif", "neuron")]),
        (_nir(INPUT, FIRST, SCALE, ("lif", _lif()), LAST, OUTPUT), [("value", "scale place")]),
        (_nir(INPUT, FIRST, ("lif", _lif()), ("v", nir.Scale(np.arange(3.0))), LAST, OUTPUT), [("v", "scale values")]),
        (_nir(INPUT, FIRST, ("lif", _lif()), ("fc2", nir.Linear(np.ones((2, 3)))), OUTPUT), [("fc2", "layer")]),
        (_nir(INPUT, ("fc1", nir.Affine(np.ones((3, 5)), np.zeros(3))), ("lif", _lif()), LAST, OUTPUT), [
            ("fc1", "shapes"),
        ]),
        (_nir(INPUT, FIRST, ("lif", _lif()), LAST, OUTPUT, edges=[("in", "fc1"), ("fc1", "lif"), ("fc2", "out")]), [
            ("fc2", "undriven"), ("lif", "unused"),
        ]),
    ],
)  # fmt: skip
def test_nodes_of_a_graph_are_held_against_the_same_rules(graph: nir.NIRGraph, expected: list[tuple[str, str]]) -> None:
    found = look_at(layers_of_nir(graph), LOIHI2, RULES + WEIGHT_RULES)
    assert sorted((finding.layer, finding.rule) for finding in found) == sorted(expected)


# agreement: deployable if and only if the export does not refuse


def exports(student: SpikingNetwork, folder: Path) -> str | None:
    """Why the export refuses, or None."""
    try:
        folded = fold_average_pooling(fold_scale(lower(student, SHAPE)))
        write_netx(quantize(folded).network, folder / "network.net")
    except NeurokdError as error:
        return str(error)
    return None


LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "conv": lambda channels: nn.Conv2d(channels, 3, 3, padding=1),
    "grouped conv": lambda channels: nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
    "strided conv": lambda channels: nn.Conv2d(channels, 3, 3, stride=2, padding=1, bias=False),
    "same": lambda channels: nn.Conv2d(channels, 3, 3, padding="same"),
    "batch norm": nn.BatchNorm2d,
    "relu": lambda channels: nn.ReLU(),
    "average pool": lambda channels: nn.AvgPool2d(2),
    "adaptive pool": lambda channels: nn.AdaptiveAvgPool2d(2),
    "max pool": lambda channels: nn.MaxPool2d(2),
    "dropout": lambda channels: nn.Dropout(0.5),
    "gelu": lambda channels: nn.GELU(),
}
GOOD = (("conv", "relu"), ("conv", "batch norm", "relu"), ("grouped conv", "relu", "average pool"), ("dropout",))
PARTS = st.one_of(st.sampled_from(GOOD), st.sampled_from(sorted(LAYERS)).map(lambda name: (name,)))
PLANS = st.lists(PARTS, min_size=1, max_size=5).map(lambda parts: [name for part in parts for name in part])
ENDS = st.sampled_from(("linear", "linear", "linear and relu", "no flatten"))


def build(plan: list[str], end: str) -> nn.Module:
    """The layers of `plan`, in order, and a head that fits them."""
    layers, channels = [nn.Conv2d(2, 3, 3, padding=1), nn.ReLU()], 3
    for name in plan:
        layers.append(LAYERS[name](channels))
    with torch.no_grad():
        features = nn.Sequential(*layers).eval()(torch.zeros(1, *SHAPE)).flatten(1).shape[1]
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
    verdict, refused = check_model(student, SHAPE, LOIHI2, weights=True), exports(student, tmp_path)
    assert verdict.deployable == (refused is None), (plan, end, refused, [f.text for f in verdict.findings])
    assert all(finding.rule != "export" for finding in verdict.findings), [f.text for f in verdict.findings]
