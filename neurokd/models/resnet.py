"""ResNet: blocks with a shortcut (He et al. 2016, arXiv 1512.03385), with a stem for small images."""

import torch
from torch import nn

from neurokd.models.blocks import InputShape, checked_shape, classifier, init_convolutions

STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))  # channels in units of the width, stride of the first block
BLOCKS = 2


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, and a shortcut: the identity, or a 1x1 convolution with BN where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.relu2 = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[B, inputs, H, W]` to `[B, outputs, ceil(H / stride), ceil(W / stride)]`."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu2(y + self.shortcut(x))  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """A 3x3 stem without pooling, four stages of blocks, a global average pool and a linear layer."""

    def __init__(self, input_shape: InputShape, classes: int, width: int) -> None:
        super().__init__()
        channels, height, breadth = checked_shape(input_shape, classes, width)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        channels, blocks = width, nn.Sequential()
        for stage, (multiple, stride) in enumerate(STAGES, start=1):
            for number in range(1, BLOCKS + 1):
                step = stride if number == 1 else 1
                blocks.add_module(f"{stage}_{number}", BasicBlock(channels, multiple * width, step))
                height, breadth = -(-height // step), -(-breadth // step)
                channels = multiple * width
        self.blocks = blocks
        self.head = nn.Sequential(*classifier(channels, (height, breadth), classes))
        init_convolutions(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images `[B, C, H, W]` to logits `[B, classes]`."""
        x = self.relu1(self.bn1(self.conv1(x)))
        return self.head(self.blocks(x))  # type: ignore[no-any-return]


def resnet18(input_shape: InputShape, classes: int, width: int = 64) -> ResNet:
    """Return ResNet-18 as it is used for CIFAR; every `nn.ReLU` is used once, so each can become a neuron layer.

    >>> sum(p.numel() for p in resnet18((3, 32, 32), 10).parameters())
    11173962
    """
    return ResNet(input_shape, classes, width)
