"""ResNet: a stem, stages of residual blocks, and a head (He et al. 2016, arXiv 1512.03385), in its variants."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.models.blocks import InputShape, checked_shape, classifier, init_convolutions
from neurokd.models.residual import BasicBlock, Bottleneck, SEWBlock

Stem = Literal["small", "imagenet", "imagenet-max"]


@dataclass(frozen=True)
class Plan:
    """What distinguishes one ResNet from another. Channels are in units of the width."""

    block: type[BasicBlock] | type[Bottleneck] | type[SEWBlock]
    stages: tuple[tuple[int, int, int], ...]  # number of blocks, channels, stride of the first block
    hidden: int = 0  # neurons of a hidden layer in the head; 0: none


RESNET18 = Plan(BasicBlock, ((2, 1, 1), (2, 2, 2), (2, 4, 2), (2, 8, 2)))
RESNET34 = Plan(BasicBlock, ((3, 1, 1), (4, 2, 2), (6, 4, 2), (3, 8, 2)))
RESNET50 = Plan(Bottleneck, ((3, 1, 1), (4, 2, 2), (6, 4, 2), (3, 8, 2)))
RESNET101 = Plan(Bottleneck, ((3, 1, 1), (4, 2, 2), (23, 4, 2), (3, 8, 2)))
RESNET152 = Plan(Bottleneck, ((3, 1, 1), (8, 2, 2), (36, 4, 2), (3, 8, 2)))
# tdBN, Zheng et al. 2021, arXiv 2011.05280; a stem of 64 channels gives the 12.63 M parameters that papers state
RESNET19 = Plan(BasicBlock, ((3, 2, 1), (3, 4, 2), (2, 8, 2)), hidden=4)
SEW_RESNET18 = Plan(SEWBlock, RESNET18.stages)
SEW_RESNET34 = Plan(SEWBlock, RESNET34.stages)

# kernel and stride of the convolution; the pool behind it is 3x3 with stride 2
STEMS: dict[str, tuple[int, int, type[nn.Module]]] = {
    "small": (3, 1, nn.Identity),
    "imagenet": (7, 2, nn.AvgPool2d),
    "imagenet-max": (7, 2, nn.MaxPool2d),
}


class ResNet(nn.Module):
    """A stem, stages of blocks, a global average pool, and one or two linear layers."""

    def __init__(self, plan: Plan, input_shape: InputShape, classes: int, width: int, stem: Stem) -> None:
        super().__init__()
        channels, height, breadth = checked_shape(input_shape, classes, width)
        if stem not in STEMS:
            raise NeurokdError(f"model: stem is {stem!r}, allowed is one of {', '.join(map(repr, STEMS))}")
        kernel, step, pool = STEMS[stem]
        self.conv1 = nn.Conv2d(channels, width, kernel, stride=step, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.pool1 = pool() if stem == "small" else pool(3, stride=2, padding=1)
        channels, self.blocks = width, nn.Sequential()
        for stage, (number, multiple, stride) in enumerate(plan.stages, start=1):
            for block in range(1, number + 1):
                first = stride if block == 1 else 1
                self.blocks.add_module(f"{stage}_{block}", plan.block(channels, multiple * width, first))
                channels = plan.block.expansion * multiple * width
        size = _halved(height, stem, plan), _halved(breadth, stem, plan)
        self.head = nn.Sequential(*classifier(channels, size, classes, plan.hidden * width))
        init_convolutions(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images `[B, C, H, W]` to logits `[B, classes]`."""
        x = self.pool1(self.relu1(self.bn1(self.conv1(x))))
        return self.head(self.blocks(x))  # type: ignore[no-any-return]


def resnet(plan: Plan, input_shape: InputShape, classes: int, width: int = 64, stem: Stem = "small") -> ResNet:
    """Return the ResNet of `plan`; every `nn.ReLU` is used once, so each can become a neuron layer.

    `stem` is `small` (3x3 convolution, no pooling), `imagenet` (7x7 convolution and 3x3 average pool, both with
    stride 2) or `imagenet-max` (the maximum instead, as He et al. have it). Raises NeurokdError for another.

    >>> sum(p.numel() for p in resnet(RESNET18, (3, 32, 32), 10).parameters())
    11173962
    """
    return ResNet(plan, input_shape, classes, width, stem)


def _halved(size: int, stem: Stem, plan: Plan) -> int:
    """Height or width behind the last block: every stride of 2 halves it, rounding up."""
    halvings = (0 if stem == "small" else 2) + sum(stride == 2 for _, _, stride in plan.stages)
    for _ in range(halvings):
        size = -(-size // 2)
    return size
