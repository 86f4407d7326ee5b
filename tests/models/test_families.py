"""Every model: shapes, parameter counts, and the rules that let it be swapped, folded and exported."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import fx, nn

from neurokd.errors import NeurokdError
from neurokd.models import MODELS, build_model
from neurokd.models.residual import BasicBlock, Bottleneck, SEWBlock
from neurokd.models.resnet import STEMS

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 16, 16), (2, 48, 48), (3, 7, 9), (1, 1, 1)]
DEEP = ("resnet101", "resnet152")  # only longer than resnet50
CASES = [(name, shape) for name in MODELS for shape in SHAPES[: 2 if name in DEEP else None]]
ALLOWED = (
    nn.Sequential, BasicBlock, Bottleneck, SEWBlock, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.AvgPool2d, nn.Flatten,
    nn.Linear, nn.Identity, nn.Dropout,
)  # fmt: skip


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_images_to_logits(name: str, shape: tuple[int, int, int]) -> None:
    model = build_model(name, shape, 7, width=4)
    assert model(torch.rand(3, *shape)).shape == (3, 7)


@pytest.mark.parametrize("name", MODELS)
def test_width_scales_the_channels(name: str) -> None:
    first = next(m for m in build_model(name, (1, 8, 8), 10, width=6).modules() if isinstance(m, nn.Conv2d))
    assert first.out_channels == 6


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_only_modules_that_can_be_exported(name: str, shape: tuple[int, int, int]) -> None:
    model = build_model(name, shape, 10, width=4)
    assert all(isinstance(module, ALLOWED) for module in list(model.modules())[1:])
    assert all(m.bias is None for m in model.modules() if isinstance(m, nn.Conv2d))
    traced = fx.symbolic_trace(model)
    used = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    relus = {name for name, module in model.named_modules() if isinstance(module, nn.ReLU)}
    assert relus
    assert all(used[name] == 1 for name in relus)
    functions = {getattr(n.target, "__name__", n.target) for n in traced.graph.nodes if n.op.startswith("call_f")}
    assert functions <= {"add"}  # the shortcut; no activation hides in a function


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_average_pools_drop_no_row_and_change_something(name: str, shape: tuple[int, int, int]) -> None:
    model = build_model(name, shape, 10, width=4)

    def check(pool: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        kernel: Any = pool.kernel_size
        if pool.padding:  # the stem's pool, whose windows overlap
            return
        height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        assert (height, width) != (1, 1)
        assert output.shape[2] * height == inputs[0].shape[2] and output.shape[3] * width == inputs[0].shape[3]

    for module in model.modules():
        if isinstance(module, nn.AvgPool2d):
            module.register_forward_hook(check)
    model(torch.rand(2, *shape))


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_learns(name: str) -> None:
    model = build_model(name, (3, 16, 16), 10, width=4)
    model(torch.rand(4, 3, 16, 16)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_the_weights(name: str) -> None:
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(torch.cat([p.flatten() for p in build_model(name, (1, 8, 8), 10, width=4).parameters()]))
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_convolutions_have_he_s_deviation() -> None:
    conv = build_model("vgg11", (3, 32, 32), 10).get_submodule("conv8")
    assert isinstance(conv, nn.Conv2d)
    assert float(conv.weight.detach().std()) == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


@pytest.mark.parametrize(
    ("shape", "classes", "width", "message"),
    [
        ((28, 28), 10, 8, r"input shape is \(28, 28\), allowed is \(channels, height, width\)"),
        ((1, 0, 28), 10, 8, "each 1 or more"),
        ((1, 28, 28), 0, 8, "classes is 0"),
        ((1, 28, 28), 10, 0, "width is 0"),
        ((1, 28, 28), 10, "64", "width is '64', allowed is a whole number"),
        ((1, 28, 28), 10, 2.5, r"width is 2\.5"),
        ((1, 28, 28), 10, True, "width is True"),
    ],
)
@pytest.mark.parametrize("name", MODELS)
def test_impossible_numbers_are_refused(name: str, shape: Any, classes: int, width: Any, message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        build_model(name, shape, classes, width=width)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet50", {"stem": "cifar"}, "stem is 'cifar', allowed is one of 'small', 'imagenet', 'imagenet-max'"),
        ("sew-resnet18", {"stem": None}, "stem is None"),
        ("snn5", {"dropout": 1}, "dropout is 1, allowed is a number of at least 0 and below 1"),
        ("snn5", {"dropout": True}, "dropout is True"),
        ("snn5", {"dropout": "0.5"}, "dropout is '0.5'"),
        ("vgg16", {"dropout": 0.1}, "has no option 'dropout'; allowed are 'width'"),
        ("resnet34", {"depth": 3}, "has no option 'depth'; allowed are 'stem', 'width'"),
    ],
)
def test_impossible_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        build_model(name, (3, 8, 8), 10, **options)


def test_the_stem_quarters_the_image_and_takes_the_pool_it_is_told() -> None:
    pools = {stem: build_model("resnet18", (3, 64, 64), 10, width=4, stem=stem).pool1 for stem in STEMS}
    assert {stem: type(pool) for stem, pool in pools.items()} == {
        "small": nn.Identity, "imagenet": nn.AvgPool2d, "imagenet-max": nn.MaxPool2d,
    }  # fmt: skip
    model = build_model("resnet18", (3, 64, 64), 10, width=4, stem="imagenet")
    seen: list[tuple[int, ...]] = []
    model.get_submodule("pool1").register_forward_hook(lambda _m, _i, output: seen.append(tuple(output.shape)))
    model(torch.rand(2, 3, 64, 64))
    assert seen == [(2, 4, 16, 16)]


def test_a_sew_block_without_weights_passes_on_its_input() -> None:
    block = SEWBlock(4, 4, 1)
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 4, 5, 5)  # negative values too: no activation behind the addition
    assert torch.equal(block(x), x)


def test_snn5_drops_before_both_linear_layers() -> None:
    model = build_model("snn5", (2, 48, 48), 11, width=4, dropout=0.25)
    assert [name for name, _ in model.named_children()][-6:] == [
        "flatten", "dropout1", "fc1", "relu6", "dropout2", "classifier",
    ]  # fmt: skip
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.25, 0.25]
