"""The normalisation of pixels that a model of another tool was trained with, as its first layer."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from neurokd.errors import NeurokdError


class Normalise(nn.Module):
    """`(x - mean) / std` for each channel of `[B, C, H, W]`; buffers that no training changes."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(-1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pixels in [0, 1] to what the model was trained on, the same shape."""
        return (x - self.mean) / self.std


def normalised(model: nn.Module, mean: object, std: object, channels: int) -> nn.Module:
    """`model` behind a `Normalise`; `mean` and `std` are a number for each of the `channels`, in units of [0, 1].

    Raises NeurokdError for other numbers, or one of the two without the other.

    >>> normalised(nn.Flatten(), [0.5], [0.25], 1)(torch.ones(1, 1, 1, 2))
    tensor([[2., 2.]])
    """
    values = {"mean": mean, "std": std}
    for name, numbers in values.items():
        if not isinstance(numbers, list | tuple) or len(numbers) != channels or not all(map(_finite, numbers)):
            raise NeurokdError(f"{name}: got {numbers}, needed is a list of {channels} numbers, one for each channel")
    if min(std) <= 0:  # type: ignore[call-overload]
        raise NeurokdError(f"std: got {std}, allowed are numbers above 0")
    first = Normalise(mean, std)  # type: ignore[arg-type]
    return nn.Sequential(OrderedDict(normalise=first, model=model))


def _finite(number: object) -> bool:
    return isinstance(number, int | float) and abs(number) < float("inf")
