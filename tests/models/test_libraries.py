"""`torchvision:NAME` and `timm:NAME`: teachers and students from other libraries."""

import logging
import sys
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models  # type: ignore[import-untyped]

from neurokd.errors import NeurokdError
from neurokd.models import build_model
from neurokd.models.macs import count_macs
from neurokd.spiking import to_spiking


@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 34, 34), (3, 32, 32)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("torchvision:resnet18", {}),
        ("torchvision:squeezenet1_1", {}),
        ("torchvision:mobilenet_v2", {"width_mult": 0.25}),  # ReLU6
        ("timm:resnet10t", {}),
        ("timm:test_vit", {"img_size": (0, 0)}),  # GELU; the test gives the size
    ],
)
def test_a_teacher_of_any_activation(name: str, options: dict[str, Any], shape: tuple[int, int, int]) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm")
    if "img_size" in options:
        options = {"img_size": shape[1:], "patch_size": 2}
    model = build_model(name, shape, 7, **options).eval()
    assert model(torch.rand(2, *shape)).shape == (2, 7)
    assert count_macs(model, shape) > 0


@pytest.mark.parametrize("name", ["torchvision:resnet18", "torchvision:squeezenet1_1", "timm:resnet10t"])
def test_a_student(name: str) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm")
    student = to_spiking(build_model(name, (1, 32, 32), 7), timesteps=2)
    assert student(torch.rand(2, 1, 32, 32)).shape == (2, 2, 7)
    assert not any(isinstance(module, nn.ReLU) for module in student.modules())


def test_a_model_without_relu_is_no_student() -> None:
    model = build_model("torchvision:mobilenet_v2", (3, 32, 32), 10, width_mult=0.25)
    with pytest.raises(NeurokdError, match=r"no nn\.ReLU module found"):
        to_spiking(model)


def test_no_activation_overwrites_its_input() -> None:
    model = build_model("torchvision:resnet18", (3, 32, 32), 10).eval()
    seen: list[torch.Tensor] = []
    model.get_submodule("bn1").register_forward_hook(lambda _m, _i, output: seen.append(output))
    model(torch.rand(1, 3, 32, 32))
    assert float(seen[0].detach().min()) < 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("torchvision:resnet17", {}, "'torchvision:resnet17' is unknown; did you mean 'torchvision:resnet1"),
        ("torchvision:fasterrcnn_resnet50_fpn", {}, "is unknown"),
        ("torchvision:zzz", {}, "allowed are the classification models of torchvision's documentation"),
        ("torchvision:", {}, "'torchvision:' is unknown"),
        ("torchvision:resnet18", {"widht": 3}, "failed for .*'widht'"),
        ("torchvision:resnet18", {"num_classes": 3}, "'num_classes' is no option; it follows from the data"),
        ("torchvision:resnet18", {"weights": "DEFAULT"}, "'weights' is no option; use pretrained: true"),
        ("torchvision:resnet18", {"classes": 3}, "'classes' is no option, it follows from the data"),
    ],
)
def test_what_torchvision_cannot_build_is_told(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        build_model(name, (3, 32, 32), 10, **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("timm:resnet17", {}, "'timm:resnet17' is unknown; did you mean 'timm:resnet"),
        ("timm:hf-hub:somebody/something", {}, "is unknown"),  # would be code and weights from anywhere
        ("timm:resnet10t", {"widht": 3}, "failed for .*'widht'"),
        ("timm:resnet10t", {"in_chans": 3}, "'in_chans' is no option; it follows from the data"),
    ],
)
def test_what_timm_cannot_build_is_told(name: str, options: dict[str, Any], message: str) -> None:
    pytest.importorskip("timm")
    with pytest.raises(NeurokdError, match=message):
        build_model(name, (3, 32, 32), 10, **options)


def test_options_reach_timm() -> None:
    pytest.importorskip("timm")
    assert build_model("timm:resnet10t", (3, 32, 32), 10, drop_rate=0.25).drop_rate == 0.25


def test_without_timm_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(NeurokdError, match=r"model 'timm:resnet18': timm cannot be imported .*; run: pip install timm"):
        build_model("timm:resnet18", (3, 32, 32), 10)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Stands in for the download: the weights of a resnet18 of 1000 classes."""
    state: dict[str, torch.Tensor] = models.get_model("resnet18").state_dict()

    def download(url: str, *, check_hash: bool, weights_only: bool, **_: Any) -> dict[str, torch.Tensor]:
        assert "resnet18" in url and check_hash and weights_only
        return state

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    return state


def test_pretrained_takes_what_fits_and_logs_the_rest(
    published: dict[str, torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="neurokd"):
        model = build_model("torchvision:resnet18", (1, 28, 28), 10, pretrained=True)
    assert "from a random start: conv1.weight, fc.weight, fc.bias" in caplog.text
    own = model.state_dict()
    taken = [key for key in own if own[key].shape == published[key].shape]
    assert len(taken) == len(own) - 3
    assert all(torch.equal(own[key], published[key]) for key in taken)
    assert own["conv1.weight"].shape == (64, 1, 7, 7)


def test_pretrained_for_a_changed_model_is_refused(published: dict[str, torch.Tensor]) -> None:
    with pytest.raises(NeurokdError, match=r"weights have 'bn1\.weight' and the model has not"):
        build_model("torchvision:resnet18", (3, 32, 32), 10, pretrained=True, norm_layer=lambda _: nn.Identity())
