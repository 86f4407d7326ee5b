"""What every family of models is built from."""

import itertools
from collections.abc import Sequence

from torch import nn

from neurokd.errors import NeurokdError

Size = tuple[int, int]
InputShape = Sequence[int]


def checked_shape(input_shape: InputShape, classes: int, width: int) -> tuple[int, int, int]:
    """Return `(C, H, W)`, or raise NeurokdError when a number cannot describe a network."""
    numbers = [*input_shape]
    if len(numbers) != 3 or min(numbers) < 1:
        raise NeurokdError(
            f"model: input shape is {tuple(numbers)}, allowed is (channels, height, width), each 1 or more"
        )
    for name, value in (("classes", classes), ("width", width)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise NeurokdError(f"model: {name} is {value!r}, allowed is a whole number of 1 or more")
    return numbers[0], numbers[1], numbers[2]


def conv_bn_relu(inputs: int, outputs: int) -> list[nn.Module]:
    """Return a 3x3 convolution that keeps the size, its BN and its ReLU."""
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def halving_pool(size: Size) -> tuple[list[nn.Module], Size]:
    """Return a 2x2 average pool and the size behind it; none where it would drop a row or column."""
    height, width = size
    if height % 2 or width % 2:
        return [], size
    return [nn.AvgPool2d(2)], (height // 2, width // 2)


def flat_classifier(channels: int, size: Size, classes: int) -> list[nn.Module]:
    """Return the head that keeps positions: one linear layer over all that is left of the image."""
    return [nn.Flatten(), nn.Linear(channels * size[0] * size[1], classes)]


def classifier(channels: int, size: Size, classes: int, hidden: int = 0) -> list[nn.Module]:
    """Return the head: average over what is left of the image, then one linear layer, or two around a ReLU."""
    pool: list[nn.Module] = [] if size == (1, 1) else [nn.AvgPool2d(size)]
    between: list[nn.Module] = [nn.Linear(channels, hidden), nn.ReLU()] if hidden else []
    return [*pool, nn.Flatten(), *between, nn.Linear(hidden or channels, classes)]


def named(layers: Sequence[nn.Module]) -> nn.Sequential:
    """Return a Sequential of conv1, bn1, relu1, pool1, conv2, ..., classifier: names that reports can show."""
    counters = {name: itertools.count(1) for name in _NAMES.values()}
    model = nn.Sequential()
    for layer in layers[:-1]:
        name = _NAMES[type(layer)]
        model.add_module(name if name == "flatten" else f"{name}{next(counters[name])}", layer)
    model.add_module("classifier", layers[-1])
    return model


def init_convolutions(model: nn.Module) -> None:
    """Draw every convolution of a new model from He et al. 2015 (arXiv 1502.01852, eq. 10, fan out)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


_NAMES: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.BatchNorm2d: "bn",
    nn.ReLU: "relu",
    nn.AvgPool2d: "pool",
    nn.Flatten: "flatten",
    nn.Linear: "fc",
    nn.Dropout: "dropout",
}
