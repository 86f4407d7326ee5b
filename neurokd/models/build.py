"""Build a model by name: ours, torchvision's, timm's, or a user's own factory."""

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from neurokd.errors import NeurokdError
from neurokd.models.libraries import timm_model, torchvision_model
from neurokd.models.normalise import normalised
from neurokd.models.resnet import (
    RESNET18,
    RESNET19,
    RESNET34,
    RESNET50,
    RESNET101,
    RESNET152,
    SEW_RESNET18,
    SEW_RESNET34,
    resnet,
)
from neurokd.models.vgg import snn5, vgg11, vgg16, vgg_snn, vgg_tiny

Factory = Callable[..., nn.Module]

MODELS: dict[str, Factory] = {
    "vgg-tiny": vgg_tiny,
    "vgg11": vgg11,
    "vgg16": vgg16,
    "vgg-snn": vgg_snn,
    "snn5": snn5,
    "resnet18": partial(resnet, RESNET18),
    "resnet19": partial(resnet, RESNET19),
    "resnet34": partial(resnet, RESNET34),
    "resnet50": partial(resnet, RESNET50),
    "resnet101": partial(resnet, RESNET101),
    "resnet152": partial(resnet, RESNET152),
    "sew-resnet18": partial(resnet, SEW_RESNET18, stem="imagenet"),
    "sew-resnet34": partial(resnet, SEW_RESNET34, stem="imagenet"),
}


def _onnx_model(path: str, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
    from neurokd.models.onnx_network import onnx_model  # onnx is imported only when it is needed

    return onnx_model(path, input_shape, classes)


LIBRARIES: dict[str, Factory] = {"torchvision": torchvision_model, "timm": timm_model, "onnx": _onnx_model}


def build_model(name: str, input_shape: tuple[int, int, int], classes: int, /, **options: Any) -> nn.Module:
    """Return a new model for images of `input_shape` (`(C, H, W)`).

    `name` is one of `MODELS`, `torchvision:NAME`, `timm:NAME`, `onnx:FILE` for a trained network in an ONNX file, or
    `package.module:function` for a factory that is called with `input_shape`, `classes` and `options` by name. Such a
    module may lie in the current folder; importing it runs its code. Of any model `mean` and `std`, a number for each
    channel, normalise the pixels that it gets.
    Raises NeurokdError for an unknown name or option, and when a factory fails or returns no `nn.Module`.

    >>> build_model("vgg-tiny", (1, 8, 8), 2, width=4).classifier
    Linear(in_features=64, out_features=2, bias=True)
    """
    factory = _factory(name)
    pixels = {key: options.pop(key) for key in ("mean", "std") if key in options}
    _check_options(name, factory, options)
    try:
        model: object = factory(input_shape=input_shape, classes=classes, **options)
    except NeurokdError:
        raise
    except Exception as error:  # a user's code may raise anything
        raise NeurokdError(
            f"model '{name}' failed for input_shape={input_shape}, classes={classes}, {options}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, nn.Module):
        raise NeurokdError(f"model '{name}' returned a {type(model).__name__}, allowed is a torch.nn.Module")
    if not pixels:
        return model
    try:
        return normalised(model, pixels.get("mean"), pixels.get("std"), input_shape[0])
    except NeurokdError as error:
        raise NeurokdError(f"model '{name}': {error}") from error


def _factory(name: str) -> Factory:
    library, colon, path = name.partition(":")
    if not colon:
        return _known(name)
    return partial(LIBRARIES[library], path) if library in LIBRARIES else _own_factory(name)


def _known(name: str) -> Factory:
    if name in MODELS:
        return MODELS[name]
    near = difflib.get_close_matches(name, MODELS, n=3)
    hint = f"did you mean {_listed(near)}? Allowed are" if near else "allowed are"
    raise NeurokdError(
        f"model '{name}' is unknown; {hint} {_listed(MODELS)}, torchvision:NAME, timm:NAME, onnx:FILE and "
        "package.module:function"
    )


def _own_factory(name: str) -> Factory:
    module_name, _, path = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # the installed command does not search the current folder by itself
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # importing runs a user's code, which may raise anything
        raise NeurokdError(
            f"model '{name}': module '{module_name}' cannot be imported ({type(error).__name__}: {error}); "
            "start neurokd in the folder that holds it, or install it"
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=3)
            hint = f"did you mean {_listed(near)}?" if near else "give the name of a function of that module"
            raise NeurokdError(f"model '{name}': module '{module_name}' has no '{path}'; {hint}")
        found = getattr(found, part)
    if not callable(found):
        raise NeurokdError(f"model '{name}': '{path}' is a {type(found).__name__}, allowed is a function or class")
    factory: Factory = found
    return factory


def _check_options(name: str, factory: Factory, options: dict[str, Any]) -> None:
    """Compare the options with the factory's signature before anything is built."""
    for given in ("input_shape", "classes"):
        if given in options:
            raise NeurokdError(f"model '{name}': '{given}' is no option, it follows from the data; leave it out")
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # a callable written in C has no signature
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    for required in ("input_shape", "classes"):
        if required not in named:
            raise NeurokdError(f"model '{name}' takes no '{required}'; its factory needs (input_shape, classes, ...)")
    allowed = sorted(named - {"input_shape", "classes"})
    for option in options:
        if option not in allowed:
            what = f"allowed are {_listed(allowed)}" if allowed else "it has no options"
            raise NeurokdError(f"model '{name}' has no option '{option}'; {what}")


def _listed(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in names)
