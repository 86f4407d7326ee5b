"""The search space: stages of BasicBlocks that differ in depth and width."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from neurokd.errors import NeurokdError
from neurokd.models.blocks import InputShape, checked_shape, classifier, init_convolutions
from neurokd.models.residual import BasicBlock

FACTORY = "neurokd.search.space:stage_net"  # how a recipe names a network of the space

_Choices = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]


@dataclass(frozen=True)
class Subnet:
    """One architecture: channels and number of blocks of each stage.

    >>> Subnet((8, 16), (1, 2)).name
    'c8-16_d1-2'
    """

    channels: tuple[int, ...]
    depths: tuple[int, ...]

    @property
    def name(self) -> str:
        """A name that can be that of a folder."""
        return f"c{'-'.join(map(str, self.channels))}_d{'-'.join(map(str, self.depths))}"


class Space(BaseModel):
    """The choices of every stage, each list rising. A stage is a list of `channels` and one of `depths`.

    >>> space = Space(channels=[[8, 16], [16, 32]], depths=[[1, 2, 3], [1]])
    >>> space.count, space.subnet(0).name, space.subnet(11).name
    (12, 'c8-16_d1-1', 'c16-32_d3-1')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Annotated[list[_Choices], Field(min_length=1)]
    depths: Annotated[list[_Choices], Field(min_length=1)]

    @model_validator(mode="after")
    def _stages_fit(self) -> "Space":
        if len(self.channels) != len(self.depths):
            raise ValueError(
                f"channels has {len(self.channels)} stages, depths has {len(self.depths)}; give both the same"
            )
        for choices in self.axes:
            if list(choices) != sorted(set(choices)):
                raise ValueError(f"the choices {list(choices)} of a stage must rise, each once")
        return self

    @property
    def axes(self) -> list[list[int]]:
        """Every list of choices: the channels of all stages, then the depths of all stages."""
        return [*self.channels, *self.depths]

    @property
    def names(self) -> list[str]:
        """What the axes are called, `channels1`, ..., `depth1`, ..."""
        stages = range(1, len(self.channels) + 1)
        return [*(f"channels{k}" for k in stages), *(f"depth{k}" for k in stages)]

    @property
    def count(self) -> int:
        """How many subnets there are: the product of the numbers of choices."""
        return math.prod(len(choices) for choices in self.axes)

    @property
    def largest(self) -> Subnet:
        """Every choice at its largest."""
        return self.of([choices[-1] for choices in self.axes])

    @property
    def smallest(self) -> Subnet:
        """Every choice at its smallest."""
        return self.of([choices[0] for choices in self.axes])

    def of(self, values: Sequence[int]) -> Subnet:
        """The subnet with one value for each of the `axes`."""
        stages = len(self.channels)
        return Subnet(tuple(values[:stages]), tuple(values[stages:]))

    def subnet(self, index: int) -> Subnet:
        """The subnet of that number, 0..count-1; the last axis changes fastest."""
        values = []
        for choices in reversed(self.axes):
            index, digit = divmod(index, len(choices))
            values.append(choices[digit])
        return self.of(values[::-1])


class StageNet(nn.Module):
    """A 3x3 stem, stages of BasicBlocks, a global average pool and one linear layer.

    The stem has the channels of the first stage; every later stage halves the size. Stage `k`, block `b` is
    `stages.k.b`, and a shortcut has a convolution only where a stage halves: so every tensor of a smaller network
    of a space is the leading part of the tensor of the same name in a larger one.
    """

    def __init__(self, subnet: Subnet, input_shape: InputShape, classes: int) -> None:
        super().__init__()
        inputs, height, width = checked_shape(input_shape, classes, subnet.channels[0])
        before = subnet.channels[0]
        self.conv1 = nn.Conv2d(inputs, before, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(before)
        self.relu1 = nn.ReLU()
        self.stages = nn.Sequential()
        for stage, (channels, depth) in enumerate(zip(subnet.channels, subnet.depths, strict=True)):
            blocks = [BasicBlock(before, channels, 1 if stage == 0 else 2)]
            blocks += [BasicBlock(channels, channels, 1) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*blocks))
            before = channels
            height, width = (-(-height // 2), -(-width // 2)) if stage else (height, width)
        self.head = nn.Sequential(*classifier(before, (height, width), classes))
        init_convolutions(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images `[B, C, H, W]` to logits `[B, classes]`."""
        return self.head(self.stages(self.relu1(self.bn1(self.conv1(x)))))  # type: ignore[no-any-return]


def stage_net(input_shape: InputShape, classes: int, channels: Sequence[int], depths: Sequence[int]) -> StageNet:
    """Return a stand-alone network of a search space, for a recipe's `model`.

    Raises NeurokdError where the two lists do not describe stages.

    >>> net = stage_net((1, 16, 16), 10, channels=[8, 16], depths=[1, 2])
    >>> net(torch.zeros(2, 1, 16, 16)).shape
    torch.Size([2, 10])
    """
    for name, values in (("channels", channels), ("depths", depths)):
        if not values or any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in values):
            raise NeurokdError(f"model: {name} is {values!r}, allowed is a list of whole numbers of 1 or more")
    if len(channels) != len(depths):
        raise NeurokdError(f"model: {len(channels)} channels and {len(depths)} depths; give one of both for each stage")
    return StageNet(Subnet(tuple(channels), tuple(depths)), input_shape, classes)
