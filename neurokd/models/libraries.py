"""Models of other libraries by name: `torchvision:NAME` and `timm:NAME`."""

import difflib
import logging
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.models.blocks import init_convolutions

logger = logging.getLogger(__name__)

RESERVED = {
    "num_classes": "it follows from the data; leave it out",
    "in_chans": "it follows from the data; leave it out",
    "weights": "use pretrained: true",
}


def torchvision_model(
    name: str, input_shape: Sequence[int], classes: int, pretrained: bool = False, **options: Any
) -> nn.Module:
    """Return torchvision's classification model `name`; `options` go to its constructor.

    torchvision builds for three channels; for any other number the first convolution gets new weights.
    `pretrained` downloads torchvision's default weights and takes those that fit `classes` and the channels; what
    keeps its random start is logged. Raises NeurokdError for an unknown name or a reserved option.

    >>> torchvision_model("resnet18", (1, 28, 28), 10).conv1.in_channels
    1
    """
    from torchvision import models  # type: ignore[import-untyped]

    _check_name("torchvision", name, models.list_models(module=models))
    _refuse_reserved("torchvision", name, options)
    model: nn.Module = models.get_model(name, num_classes=classes, **options)
    if input_shape[0] != 3:
        _take_channels(model, input_shape[0])
    if pretrained:
        weights = models.get_model_weights(name).DEFAULT  # weights_only: a download must not execute code
        _take_what_fits(name, model, weights.get_state_dict(check_hash=True, weights_only=True))
    return _without_in_place(model)


def timm_model(name: str, input_shape: Sequence[int], classes: int, **options: Any) -> nn.Module:
    """Return timm's model `name`; `options` go to `timm.create_model`, e.g. `pretrained: true`, which downloads.

    timm adapts pretrained weights to the channels and starts the last layer anew for other classes.
    Raises NeurokdError when timm is not installed, for an unknown name or a reserved option.
    """
    timm = _timm(name)
    if not timm.is_model(name):  # which also knows names with a tag, such as resnet18.a1_in1k
        _check_name("timm", name, timm.list_models())
    _refuse_reserved("timm", name, options)
    model: nn.Module = timm.create_model(name, num_classes=classes, in_chans=input_shape[0], **options)
    return _without_in_place(model)


def _timm(name: str) -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise NeurokdError(f"model 'timm:{name}': timm cannot be imported ({error}); run: pip install timm") from error
    module: ModuleType = timm
    return module


def _check_name(library: str, name: str, known: Sequence[str]) -> None:
    if name in known:
        return
    near = ", ".join(f"'{library}:{found}'" for found in difflib.get_close_matches(name, known, n=3))
    hint = f"did you mean {near}?" if near else f"allowed are the classification models of {library}'s documentation"
    raise NeurokdError(f"model '{library}:{name}' is unknown; {hint}")


def _refuse_reserved(library: str, name: str, options: Mapping[str, Any]) -> None:
    for option in options:
        if option in RESERVED:
            raise NeurokdError(f"model '{library}:{name}': '{option}' is no option; {RESERVED[option]}")


def _take_channels(model: nn.Module, channels: int) -> None:
    """Give the first convolution, the one that sees the image, new weights for so many channels."""
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    first.in_channels = channels
    first.weight = nn.Parameter(torch.empty(first.out_channels, channels, *first.kernel_size))
    init_convolutions(first)


def _take_what_fits(name: str, model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Load the tensors of `state` that have the shape of the model's own, and log the ones that have not."""
    own = model.state_dict()
    foreign = [key for key in state if key not in own]
    if foreign:
        raise NeurokdError(
            f"model 'torchvision:{name}': its pretrained weights have '{foreign[0]}' and the model has not; "
            "leave out pretrained, or the option that changes the model"
        )
    fitting = {key: value for key, value in state.items() if value.shape == own[key].shape}
    model.load_state_dict(fitting, strict=False)
    fresh = [key for key, _ in model.named_parameters() if key not in fitting]
    logger.info("torchvision:%s is pretrained; from a random start: %s", name, ", ".join(fresh) or "nothing")


def _without_in_place(model: nn.Module) -> nn.Module:
    """Let no activation overwrite its input, which may be wanted as a feature."""
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model
