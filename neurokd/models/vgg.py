"""VGG: a chain of 3x3 convolutions (Simonyan & Zisserman 2015, arXiv 1409.1556), with BN and average pooling."""

from collections.abc import Callable

from torch import nn

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
