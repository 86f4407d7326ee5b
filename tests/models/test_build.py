"""Models by name: near misses get a hint, a user's factory is called or its fault is told."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.models import build_model

SHAPE = (1, 8, 8)
OWN = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, input_shape, classes, hidden=16):
        size = input_shape[0] * input_shape[1] * input_shape[2]
        super().__init__(nn.Flatten(), nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, classes))

class Zoo:
    net = Net

def anything(**options):
    return Net(options["input_shape"], options["classes"])

def no_module(input_shape, classes):
    return [1]

def broken(input_shape, classes):
    raise KeyError("weights")

def strange(size):
    return Net((1, 1, 1), size)

number = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's in the current folder; returns its name."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in __import__("sys").path if path])
    return name


@pytest.mark.parametrize(("path", "options"), [("Net", {"hidden": 5}), ("Zoo.net", {}), ("anything", {"depth": 3})])
def test_a_factory_of_the_user_s(own: str, path: str, options: dict[str, Any]) -> None:
    model = build_model(f"{own}:{path}", SHAPE, 4, **options)
    assert isinstance(model, nn.Sequential)
    last = model[-1]
    assert isinstance(last, nn.Linear) and last.out_features == 4


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("Net", {"hiden": 5}, "has no option 'hiden'; allowed are 'hidden'"),
        ("Nett", {}, "has no 'Nett'; did you mean 'Net'"),
        ("Zoo.cage", {}, r"has no 'Zoo\.cage'"),
        ("", {}, "has no ''"),
        ("number", {}, "'number' is a int, allowed is a function or class"),
        ("no_module", {}, r"returned a list, allowed is a torch\.nn\.Module"),
        ("no_module", {"width": 1}, "has no option 'width'; it has no options"),
        ("broken", {}, r"failed for input_shape=\(1, 8, 8\), classes=4, \{\}: KeyError: 'weights'"),
        ("strange", {}, "takes no 'input_shape'"),
    ],
)
def test_a_faulty_factory_is_told(own: str, path: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        build_model(f"{own}:{path}", SHAPE, 4, **options)


@pytest.mark.parametrize("name", ["no_such_module:net", ":net", "..:net", "a b:c"])
def test_a_module_that_cannot_be_imported(name: str) -> None:
    with pytest.raises(NeurokdError, match=r"module '.*' cannot be imported .*start neurokd in the folder"):
        build_model(name, SHAPE, 4)


def test_a_module_with_a_syntax_error(own: str) -> None:
    Path(f"{own}_broken.py").write_text("def net(:\n")
    with pytest.raises(NeurokdError, match=r"cannot be imported \(SyntaxError"):
        build_model(f"{own}_broken:net", SHAPE, 4)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet-18", "did you mean 'resnet18'"),
        ("vgg_tiny", "did you mean 'vgg-tiny'"),
        ("transformer", "allowed are 'vgg-tiny', 'vgg11', .*, timm:NAME, onnx:FILE and package.module:function"),
    ],
)
def test_an_unknown_name_gets_a_hint(name: str, hint: str) -> None:
    with pytest.raises(NeurokdError, match=f"model '{name}' is unknown; .*{hint}"):
        build_model(name, SHAPE, 10)


def test_an_unknown_option_names_the_allowed_ones() -> None:
    with pytest.raises(NeurokdError, match="model 'vgg11' has no option 'widht'; allowed are 'width'"):
        build_model("vgg11", SHAPE, 10, widht=3)


@pytest.mark.parametrize("option", ["input_shape", "classes"])
def test_what_follows_from_the_data_is_no_option(option: str) -> None:
    with pytest.raises(NeurokdError, match=f"'{option}' is no option, it follows from the data"):
        build_model("vgg11", SHAPE, 10, **{option: 3})
