"""Labelled images in memory."""

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from neurokd.errors import NeurokdError

IntArray: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images `[N, C, H, W]` (uint8) with labels `[N]` (int64); any other shape or type raises NeurokdError.

    >>> ImageSet(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1]))
    ImageSet(2 images of 1x8x8)
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            got = f"{self.images.dtype} {list(self.images.shape)}"
            raise NeurokdError(f"images: got {got}, allowed is torch.uint8 [N, C, H, W]; convert them to 0..255")
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            got = f"{self.labels.dtype} {list(self.labels.shape)}"
            raise NeurokdError(f"labels: got {got}, allowed is torch.int64 [N]; give one class number per image")
        if len(self.images) != len(self.labels):
            raise NeurokdError(f"{len(self.images)} images have {len(self.labels)} labels; give one label per image")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"ImageSet({len(self)} images of {'x'.join(str(n) for n in self.images.shape[1:])})"

    def fingerprint(self) -> str:
        """Return the SHA-256 of shape, pixels and labels: equal only for equal content in equal order."""
        digest = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        for tensor in (self.images, self.labels):
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def subset(self, indices: torch.Tensor) -> "ImageSet":
        """Return the images at `indices` (`[K]`, int64), in that order."""
        return ImageSet(self.images[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class DataSet:
    """A named pair of training and test images; label `k` is called `classes[k]`."""

    name: str
    train: ImageSet
    test: ImageSet
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise NeurokdError(
                f"data '{self.name}': training images are {list(self.train.images.shape[1:])}, "
                f"test images {list(self.test.images.shape[1:])} [C, H, W]; make them the same size"
            )
        for part, images in (("training", self.train), ("test", self.test)):
            if len(images) == 0:
                raise NeurokdError(f"data '{self.name}': there are no {part} images; add at least one")
            low, high = int(images.labels.min()), int(images.labels.max())
            if low < 0 or high >= len(self.classes):
                raise NeurokdError(
                    f"data '{self.name}': {part} labels run from {low} to {high}, "
                    f"allowed is 0..{len(self.classes) - 1} for {len(self.classes)} classes"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image, `(C, H, W)`."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


@dataclass(frozen=True, eq=False)
class Split:
    """Sorted, disjoint indices into `DataSet.train` which together name every training image."""

    train: IntArray
    validation: IntArray
