"""VGG: a chain of 3x3 convolutions (Simonyan & Zisserman 2015, arXiv 1409.1556), with BN and average pooling."""

from collections.abc import Callable

from torch import nn

from neurokd.errors import NeurokdError
from neurokd.models.blocks import (
    InputShape,
    Size,
    checked_shape,
    classifier,
    conv_bn_relu,
    flat_classifier,
    halving_pool,
    init_convolutions,
    named,
)

Head = Callable[[int, Size, int], list[nn.Module]]

POOL = 0  # marks a 2x2 average pool in a plan; the other numbers are channels in units of the width
TINY = (1, POOL, 2, POOL, 4)
VGG11 = (1, POOL, 2, POOL, 4, 4, POOL, 8, 8, POOL, 8, 8, POOL)
VGG16 = (1, 1, POOL, 2, 2, POOL, 4, 4, 4, POOL, 8, 8, 8, POOL, 8, 8, 8, POOL)
VGG_SNN = (1, 2, POOL, 4, 4, POOL, 8, 8, POOL, 8, 8, POOL)
SNN5 = (1, POOL) * 5
SNN5_HIDDEN = 4  # neurons behind the first linear layer, in units of the width


def vgg_tiny(input_shape: InputShape, classes: int, width: int = 32) -> nn.Sequential:
    """Return three convolutions of width, 2 width and 4 width channels and a linear layer over all positions.

    `[B, C, H, W]` to logits `[B, classes]`. In centred images the position says much; the linear layer keeps it.

    >>> sum(p.numel() for p in vgg_tiny((1, 28, 28), 10).parameters())
    155626
    """
    return _vgg(TINY, input_shape, classes, width, flat_classifier)


def vgg11(input_shape: InputShape, classes: int, width: int = 64) -> nn.Sequential:
    """Return VGG-11 as it is used for CIFAR: eight convolutions, a global average pool, one linear layer.

    `[B, C, H, W]` to logits `[B, classes]`. A 2x2 average pool is left out where height or width is odd or 1.

    >>> sum(p.numel() for p in vgg11((3, 32, 32), 10).parameters())
    9228362
    """
    return _vgg(VGG11, input_shape, classes, width, classifier)


def vgg16(input_shape: InputShape, classes: int, width: int = 64) -> nn.Sequential:
    """Return VGG-16 as it is used for CIFAR: thirteen convolutions, a global average pool, one linear layer.

    `[B, C, H, W]` to logits `[B, classes]`. A 2x2 average pool is left out where height or width is odd or 1.

    >>> sum(p.numel() for p in vgg16((3, 32, 32), 10).parameters())
    14724042
    """
    return _vgg(VGG16, input_shape, classes, width, classifier)


def vgg_snn(input_shape: InputShape, classes: int, width: int = 64) -> nn.Sequential:
    """Return the VGG-SNN of TET (Deng et al. 2022, arXiv 2202.11946) and HSD, for event frames.

    Eight convolutions and a linear layer over all positions. `[B, C, H, W]` to logits `[B, classes]`. A 2x2 average
    pool is left out where height or width is odd or 1.

    >>> sum(p.numel() for p in vgg_snn((2, 48, 48), 10).parameters())
    9268746
    """
    return _vgg(VGG_SNN, input_shape, classes, width, flat_classifier)


def snn5(input_shape: InputShape, classes: int, width: int = 128, dropout: float = 0.5) -> nn.Sequential:
    """Return the SNN-5 of HSD: five convolutions with pools, then two linear layers with dropout before each.

    It is the network of PLIF (Fang et al. 2021, arXiv 2007.05785) for DVS-Gesture with average pools and without
    the voting layer. `[B, C, H, W]` to logits `[B, classes]`. A 2x2 average pool is left out where height or width
    is odd or 1. Raises NeurokdError for a dropout outside 0 to 1.

    >>> snn5((2, 128, 128), 11).fc1
    Linear(in_features=2048, out_features=512, bias=True)
    """
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
        raise NeurokdError(f"model: dropout is {dropout!r}, allowed is a number of at least 0 and below 1")

    def head(channels: int, size: Size, classes: int) -> list[nn.Module]:
        hidden = SNN5_HIDDEN * width
        first = nn.Linear(channels * size[0] * size[1], hidden)
        last = nn.Linear(hidden, classes)
        return [nn.Flatten(), nn.Dropout(dropout), first, nn.ReLU(), nn.Dropout(dropout), last]

    return _vgg(SNN5, input_shape, classes, width, head)


def _vgg(plan: tuple[int, ...], input_shape: InputShape, classes: int, width: int, head: Head) -> nn.Sequential:
    channels, *rest = checked_shape(input_shape, classes, width)
    size = (rest[0], rest[1])
    layers: list[nn.Module] = []
    for multiple in plan:
        if multiple == POOL:
            pool, size = halving_pool(size)
            layers += pool
        else:
            layers += conv_bn_relu(channels, multiple * width)
            channels = multiple * width
    model = named([*layers, *head(channels, size, classes)])
    init_convolutions(model)
    return model
