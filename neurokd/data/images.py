"""Labelled images, or the frames of recordings."""

import hashlib
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from neurokd.data.stored import StoredImages
from neurokd.errors import NeurokdError
from neurokd.inputs import PIXELS, Encoding

IntArray: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images `[N, C, H, W]` or frames of recordings `[N, T, C, H, W]` (uint8) with labels `[N]` (int64).

    They lie in memory, or in a file (`StoredImages`). `groups` `[N]` says which belong together, by subject or
    source image: no split divides a group. Any other shape or type raises NeurokdError.

    >>> ImageSet(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1]))
    ImageSet(2 images of 1x8x8)
    """

    images: torch.Tensor | StoredImages
    labels: torch.Tensor
    groups: IntArray | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim not in (4, 5):
            got = f"{self.images.dtype} {list(self.images.shape)}"
            raise NeurokdError(f"images: got {got}, allowed is torch.uint8 [N, C, H, W]; convert them to 0..255")
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            got = f"{self.labels.dtype} {list(self.labels.shape)}"
            raise NeurokdError(f"labels: got {got}, allowed is torch.int64 [N]; give one class number per image")
        if len(self.images) != len(self.labels):
            raise NeurokdError(f"{len(self.images)} images have {len(self.labels)} labels; give one label per image")
        if self.groups is not None and len(self.groups) != len(self.labels):
            raise NeurokdError(f"{len(self.labels)} images have {len(self.groups)} groups; give one group per image")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"ImageSet({len(self)} images of {'x'.join(str(n) for n in self.images.shape[1:])})"

    @property
    def frames(self) -> int | None:
        """Frames of a recording; None for images."""
        return self.images.shape[1] if self.images.ndim == 5 else None

    def fingerprint(self) -> str:
        """Return the SHA-256 of shape, pixels, labels and groups: equal only for equal content in equal order.

        That of images in a file does not depend on a `window`: it is the recordings'.
        """
        digest = hashlib.sha256()
        if isinstance(self.images, StoredImages):
            for part in self.images.fingerprint():
                digest.update(part)
        else:
            digest.update(repr(tuple(self.images.shape)).encode())
            digest.update(self.images.cpu().contiguous().numpy().tobytes())
        digest.update(self.labels.cpu().contiguous().numpy().tobytes())
        if self.groups is not None:
            digest.update(self.groups.astype("<i8").tobytes())
        return digest.hexdigest()

    def subset(self, indices: torch.Tensor) -> "ImageSet":
        """Return the images at `indices` (`[K]`, int64), in that order."""
        images = self.images.subset(indices) if isinstance(self.images, StoredImages) else self.images[indices]
        groups = None if self.groups is None else self.groups[indices.numpy()]
        return ImageSet(images, self.labels[indices], groups)

    def window(self, start: int, count: int) -> "ImageSet":
        """Return the recordings with frames `start` up to `start + count` alone."""
        if isinstance(self.images, StoredImages):
            return replace(self, images=self.images.window(start, count))
        return replace(self, images=self.images[:, start : start + count])


@dataclass(frozen=True, eq=False)
class DataSet:
    """A named pair of training and test images; label `k` is called `classes[k]`.

    `encoding` says what the stored integers mean. `lessons` is what training batches hold, where that is more than
    `train`: the frames that a random temporal crop chooses from and, before the student's, those that its teacher
    is shown.
    """

    name: str
    train: ImageSet
    test: ImageSet
    classes: tuple[str, ...]
    encoding: Encoding = PIXELS
    lessons: ImageSet | None = None

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
        """The shape of one image or frame, `(C, H, W)`."""
        channels, height, width = self.train.images.shape[-3:]
        return channels, height, width

    def window(self, start: int, count: int, spare: int = 0, before: int = 0) -> "DataSet":
        """Return the recordings with `count` frames from frame `start` on; a set of images is returned as it is.

        `spare` more frames lie around them, and `before` in front: `lessons` has them all, `train` and `test` those
        in the middle. Raises NeurokdError if there are not so many.
        """
        there = self.train.frames
        if there is None:
            return self
        if start + count + spare > there:
            raise NeurokdError(
                f"data '{self.name}': frames {start} up to {start + count + spare} are asked for, there are {there}; "
                "raise data.events.frames"
            )
        middle = start + spare // 2
        lessons = self.train.window(start - before, before + count + spare) if spare or before else None
        return replace(
            self, train=self.train.window(middle, count), test=self.test.window(middle, count), lessons=lessons
        )


@dataclass(frozen=True, eq=False)
class Split:
    """Sorted, disjoint indices into `DataSet.train` which together name every training image."""

    train: IntArray
    validation: IntArray
