"""`onnx:FILE`: trained networks in ONNX files give onnxruntime's logits; what cannot be read is named."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.errors import NeurokdError
from neurokd.export.onnx_graphs.given import compare
from neurokd.models import build_model
from neurokd.spiking import to_spiking

SHAPE, CLASSES = (2, 6, 6), 3
IMAGES = ImageSet(
    torch.randint(0, 256, (7, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
    torch.zeros(7, dtype=torch.int64),
)


class Net(nn.Module):
    """Every form that torch's exporters give to the operators: pools, means, branches, products without bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, (3, 1), stride=(1, 1), padding=(1, 0), groups=2, bias=False)
        self.max, self.average = nn.MaxPool2d(2), nn.AvgPool2d(3, stride=1, padding=1)
        self.drop, self.fc, self.direct = nn.Dropout(0.5), nn.Linear(4 * 9, 3), nn.Linear(4, 3, bias=False)
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images to logits."""
        x = torch.relu(self.norm(self.conv1(x)))
        x = self.average(self.max(torch.relu(self.conv2(x) + x)))
        flat = self.drop(x.flatten(1))
        return self.fc(flat) + self.direct(x.mean((2, 3))) + self.pooled(x)  # type: ignore[no-any-return]


def network() -> nn.Module:
    torch.manual_seed(0)
    net = Net()
    with torch.no_grad():
        net.norm.weight.uniform_(1.0, 3.0)
        net.norm.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
    return net.eval()


def exported(path: Path, *, dynamo: bool = True, batch: int | None = None, training: bool = False) -> Path:
    """`network()` as torch writes it; `training` keeps its batch normalisation and dropout apart."""
    options: dict[str, Any] = {"dynamo": dynamo, "input_names": ["image"], "verbose": False}
    if batch is None:
        axes = (
            {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamo else {"dynamic_axes": {"image": {0: "b"}}}
        )
        options |= axes
    if training:
        options["training"] = torch.onnx.TrainingMode.PRESERVE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network(), (torch.zeros(batch or 2, *SHAPE),), path, **options)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as torch writes it by default, which takes seconds; its weights lie in a second file."""
    path = exported(tmp_path_factory.mktemp("onnx") / "net.onnx")
    assert path.with_name("net.onnx.data").is_file()
    return path


@pytest.mark.parametrize("options", [{}, {"batch": 3}, {"batch": 1}, {"training": True}])
def test_logits_are_those_of_torch_and_of_onnxruntime(options: dict[str, Any], file: Path, tmp_path: Path) -> None:
    path = exported(tmp_path / "net.onnx", dynamo=False, **options) if options else file
    model = build_model(f"onnx:{path}", SHAPE, CLASSES).eval()
    found = compare(path, model, IMAGES)
    assert (found.images, found.differing) == (7, 0) and found.difference < 1e-5
    x = IMAGES.images[:].float() / 255
    with torch.no_grad():
        expected = network()(x)
        assert np.ptp(expected.numpy()) > 0.1
        torch.testing.assert_close(model(x), expected, rtol=0, atol=1e-5)
    assert sum(isinstance(module, nn.ReLU) for module in model.modules()) == 2
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert to_spiking(model, timesteps=2)(x).shape == (2, 7, 3)


def test_a_difference_is_found(file: Path) -> None:
    model = build_model(f"onnx:{file}", SHAPE, CLASSES)
    with torch.no_grad():
        model.get_submodule("linear1").bias[1] += 0.5  # type: ignore[index,operator]
    found = compare(file, model, IMAGES)
    assert found.differing == 7 and found.difference == pytest.approx(0.5, abs=1e-4)


def test_pixels_are_normalised_as_in_training(file: Path) -> None:
    plain = build_model(f"onnx:{file}", SHAPE, CLASSES).eval()
    model = build_model(f"onnx:{file}", SHAPE, CLASSES, mean=[0.5, 0.25], std=[0.5, 2]).eval()
    x = torch.ones(1, *SHAPE)
    given = torch.stack([torch.full((6, 6), 1.0), torch.full((6, 6), 0.375)])[None]
    with torch.no_grad():
        torch.testing.assert_close(model(x), plain(given))
    assert compare(file, model, IMAGES).differing == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": [0.5, 0.5]}, r"model 'vgg-tiny': std: got None, needed is a list of 2 numbers"),
        ({"mean": [0.5], "std": [1, 1]}, r"mean: got \[0\.5\], needed is a list of 2 numbers"),
        ({"mean": [0, 0], "std": [1, 0]}, r"std: got \[1, 0\], allowed are numbers above 0"),
        ({"mean": [0, float("nan")], "std": [1, 1]}, r"mean: got \[0, nan\]"),
        ({"mean": "ab", "std": [1, 1]}, r"mean: got ab"),
    ],
)
def test_a_wrong_normalisation_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        build_model("vgg-tiny", SHAPE, CLASSES, **options)


WEIGHTS = {
    "kernel": np.ones((3, 2, 3, 3), np.float32),
    "matrix": np.ones((3, 3), np.float32),
    "bias": np.arange(3, dtype=np.float32),
    "wide": np.ones((3, 5), np.float32),
    "doubles": np.ones((3, 2, 3, 3)),
    "broken": np.full((3, 2, 3, 3), np.nan, np.float32),
    "line": np.ones((3, 2, 3), np.float32),
    "axes": np.array([1]),
    "shape": np.array([-1, 7]),
}


def graph(*nodes: onnx.NodeProto, dims: tuple[int | str, ...] = ("b", *SHAPE), kind: int = TensorProto.FLOAT) -> bytes:
    """A file with these nodes between the input `x` and the output `y`."""
    used = {name for node in nodes for name in node.input}
    made = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info("x", kind, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("b", "n"))],
        [numpy_helper.from_array(value, name) for name, value in WEIGHTS.items() if name in used],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()  # type: ignore[no-any-return]


def node(kind: str, inputs: str = "x", output: str = "h", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), output.split(), name=f"the {kind}", **attributes)


CONV, POOL, FLAT = node("Conv", "x kernel", "c"), node("GlobalAveragePool", "c", "p"), node("Flatten", "p", "f")
GEMM = node("Gemm", "f matrix bias", "y")
GOOD = (CONV, POOL, FLAT, GEMM)


def after_conv(*nodes: onnx.NodeProto) -> bytes:
    return graph(CONV, *nodes)


def product(*nodes: onnx.NodeProto) -> bytes:
    return graph(CONV, POOL, FLAT, node("MatMul", "f matrix", "h"), *nodes)


def read(content: bytes, tmp_path: Path) -> nn.Module:
    (tmp_path / "net.onnx").write_bytes(content)
    return build_model(f"onnx:{tmp_path / 'net.onnx'}", SHAPE, CLASSES)


@pytest.mark.parametrize(
    "content", [graph(*GOOD), product(node("Add", "bias h", "y")), graph(*GOOD, dims=(1, 2, 6, 6))]
)
def test_a_sum_by_hand(content: bytes, tmp_path: Path) -> None:
    """Every pixel is 1: 18 from each of 3 kernels, 54 from each row of ones, then 0, 1, 2."""
    assert read(content, tmp_path).eval()(torch.ones(1, *SHAPE)).tolist() == [[54.0, 55.0, 56.0]]


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "truncated": (lambda: graph(*GOOD)[:-40], r"net\.onnx': is no ONNX file, or a part of one; export it again"),
    "empty": (lambda: b"", r"net\.onnx': holds no graph"),
    "no protobuf": (lambda: b"\x89PNG\r\n", "is no ONNX file"),
    "unknown": (
        lambda: after_conv(node("Elu", "c", "y")),
        r"node 'the Elu' \(Elu\) is not supported; allowed are Add, Av",
    ),
    "foreign": (
        lambda: after_conv(node("Relu", "c", "y", domain="my.ops")),
        r"node 'the Relu' \(my\.ops\.Relu\) is not",
    ),
    "if": (
        lambda: graph(node("If", "x", "y", then_branch=helper.make_graph([], "t", [], []))),
        r"node 'the If' \(If\) is",
    ),
    "loop": (lambda: graph(node("Loop", "x", "y")), r"node 'the Loop' \(Loop\) is not supported"),
    "attribute": (lambda: after_conv(node("Relu", "c", "y", speed=3)), r"breaks the ONNX standard \(.*speed"),
    "order": (lambda: graph(node("Relu", "c", "y"), CONV), r"breaks the ONNX standard \(.*sorted"),
    "shape": (
        lambda: graph(*GOOD, dims=("b", 3, 224, 224)),
        r"'x' is FLOAT any x 3 x 224 x 224; the data need FLOAT any x 2",
    ),
    "rank": (lambda: graph(*GOOD, dims=("b", 72)), r"input 'x' is FLOAT any x 72"),
    "bytes": (lambda: graph(*GOOD, kind=TensorProto.UINT8), r"input 'x' is UINT8 any x 2 x 6 x 6"),
    "classes": (lambda: graph(CONV, POOL, FLAT, node("Gemm", "f wide", "y")), r"gives \[1, 5\] .* have 3 classes"),
    "a map": (lambda: graph(CONV, node("Relu", "c", "y")), r"gives \[1, 3, 4, 4\] for one image"),
    "doubles": (
        lambda: graph(node("Conv", "x doubles", "y")),
        r"\(Conv\): input 1 is float64; allowed is float32 weights",
    ),
    "not finite": (
        lambda: graph(node("Conv", "x broken", "y")),
        r"\(Conv\): input 1 holds NaN or infinity; allowed is finite",
    ),
    "no constant": (
        lambda: graph(CONV, node("Conv", "c c", "y")),
        r"\(Conv\): input 1 is no constant; allowed is float32",
    ),
    "channels": (
        lambda: after_conv(node("Conv", "c kernel", "y")),
        r"node 'the Conv' \(Conv\): torch refuses it \(.*chann",
    ),
    "one axis": (lambda: graph(node("Conv", "x line", "y")), r"\(Conv\): its kernel has 1 dimensions; allowed is 2"),
    "pads": (
        lambda: graph(node("Conv", "x kernel", "y", pads=[0, 0, 1, 1])),
        r"pads are \[0, 0, 1, 1\] with auto_pad NOT",
    ),
    "same": (
        lambda: graph(node("Conv", "x kernel", "y", auto_pad="SAME_UPPER")),
        r"auto_pad SAME_UPPER; allowed is the",
    ),
    "stride": (lambda: graph(node("Conv", "x kernel", "y", strides=[0, 1])), r"strides are \[0, 1\]; allowed is two"),
    "huge": (
        lambda: graph(node("Conv", "x kernel", "y", pads=[10**5] * 4)),
        r"\(Conv\): gives 120,004,800,048 values per image, allowed are 268,435,456",
    ),
    "dilated": (
        lambda: after_conv(node("MaxPool", "c", "y", kernel_shape=[2, 2], dilations=[2, 2])),
        r"dilations are \[2, 2\]",
    ),
    "indices": (
        lambda: after_conv(node("MaxPool", "c", "m i", kernel_shape=[2, 2]), node("Identity", "i", "y")),
        r"\(MaxPool\): its second output is used; allowed is the first alone",
    ),
    "mean": (
        lambda: after_conv(node("ReduceMean", "c axes", "y")),
        r"means over axes \[1\] of \[1, 3, 4, 4\]; allowed is",
    ),
    "flatten": (lambda: after_conv(node("Flatten", "c", "y", axis=2)), r"\(Flatten\): axis is 2; allowed is 1"),
    "reshape": (
        lambda: after_conv(node("Reshape", "c shape", "y")),
        r"reshapes \[1, 3, 4, 4\] to \[-1, 7\]; allowed is \[-1, 48\]",
    ),
    "map product": (
        lambda: after_conv(node("MatMul", "c matrix", "y")),
        r"weights \[3, 3\] for an input \[1, 3, 4, 4\]",
    ),
    "alpha": (lambda: graph(CONV, POOL, FLAT, node("Gemm", "f matrix", "y", alpha=2.0)), r"alpha and beta are .*2\.0"),
    "offset": (
        lambda: after_conv(node("Add", "c bias", "y")),
        r"\(Add\): adds a constant \[3\]; allowed are a bias behind",
    ),
    "shared": (lambda: product(node("Add", "h bias", "s"), node("Add", "s h", "y")), r"\(Add\): adds a constant \[3\]"),
    "unequal": (
        lambda: graph(CONV, POOL, node("Add", "c p", "y")),
        r"adds \[1, 3, 4, 4\] and \[1, 3, 1, 1\]; allowed are",
    ),
    "constants": (
        lambda: after_conv(node("Add", "bias bias", "y")),
        r"\(Add\): its first input does not come from the im",
    ),
    "turned": (
        lambda: graph(node("Conv", "kernel x", "y")),
        r"\(Conv\): its first input does not come from the images",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_named_in_one_line(case: str, tmp_path: Path) -> None:
    make, message = BAD[case]
    with pytest.raises(NeurokdError, match=message) as refused:
        read(make(), tmp_path)
    assert "\n" not in str(refused.value) and str(refused.value).startswith(f"file '{tmp_path / 'net.onnx'}': ")


@pytest.mark.parametrize("content", [graph(*GOOD), after_conv(node("R\nl", "c", "y"))])
def test_any_part_of_a_file_is_read_or_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    refused = 0
    for end in range(0, len(content), 13):
        try:
            read(content[:end], tmp_path)
        except NeurokdError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > len(content) // 26


def test_a_missing_file_is_named() -> None:
    with pytest.raises(NeurokdError, match=r"file 'none/net\.onnx': No such file or directory; give the path"):
        build_model("onnx:none/net.onnx", SHAPE, CLASSES)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("../secret", r"tensor 'kernel' lies in '\.\./secret', outside of the folder of the file"),
        ("{root}/secret", r"outside of the folder"),
        ("link", r"tensor 'kernel' lies in 'link', outside of the folder"),
        ("none", r"tensor 'kernel' lies in 'none', which is missing; put it beside the file"),
        ("short", r"breaks the ONNX standard"),
    ],
)
def test_weights_in_other_files_stay_in_the_folder(location: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(3 * 2 * 9 * 4))
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "short").write_bytes(bytes(5))
    model = onnx.ModelProto.FromString(graph(*GOOD))
    tensor = next(t for t in model.graph.initializer if t.name == "kernel")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location.format(root=tmp_path))
    tensor.external_data.add(key="length", value=str(3 * 2 * 9 * 4))
    with pytest.raises(NeurokdError, match=message):
        read(model.SerializeToString(), folder)


def test_no_name_of_the_file_becomes_code(tmp_path: Path) -> None:
    name = 'r") or open("ran", "w") or ("'
    flat = helper.make_node("Flatten", [name], ["f"])
    content = graph(*GOOD[:2], helper.make_node("Relu", ["p"], [name], name=name), flat, GEMM)
    model = read(content, tmp_path)
    assert [path for path, _ in model.named_children()] == ["conv1", "pool1", "relu1", "flatten1", "linear1"]
