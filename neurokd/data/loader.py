"""Batches of images, fetched a batch at a time and the same for every number of workers."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from neurokd.data.augment import augment as augment_images
from neurokd.data.augment_config import AugmentConfig
from neurokd.data.augment_events import augment_events
from neurokd.data.images import ImageSet, IntArray
from neurokd.errors import NeurokdError

Batch: TypeAlias = tuple[torch.Tensor, torch.Tensor]


def batches(
    images: ImageSet,
    indices: IntArray,
    batch_size: int,
    *,
    augment: AugmentConfig | None = None,
    seed: int,
    classes: int = 0,
    epoch: int = 0,
    shuffle: bool = False,
    workers: int = 0,
) -> "DataLoader[Batch]":
    """Return a DataLoader of `(images uint8 [B, C, H, W], labels int64 [B])` over `images` at `indices`.

    Of recordings, the images are frames `[B, T, C, H, W]`; mixed with each other, their labels are float
    `[B, classes]`.

    Order and augmentation follow from `seed` and the epoch alone. `loader.sampler.set_epoch(k)` chooses the epoch;
    Lightning calls it by itself, and without a call every pass repeats `epoch`. With `shuffle`, for training, an
    incomplete last batch is dropped; otherwise the order is that of `indices` and nothing is dropped.
    Raises NeurokdError when there would be no batch, or for a shift out of the images.
    """
    if batch_size < 1 or len(indices) == 0:
        raise NeurokdError(f"{len(indices)} images in batches of {batch_size}: there must be at least 1 of both")
    if shuffle and len(indices) < batch_size:
        raise NeurokdError(
            f"batch size is {batch_size}, but there are only {len(indices)} training images; lower the batch size"
        )
    return DataLoader(
        BatchedImages(images, torch.as_tensor(indices, dtype=torch.int64), augment, seed, classes),
        batch_size=batch_size,
        sampler=EpochSampler(len(indices), seed, epoch, shuffle),
        drop_last=shuffle,
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
    )


class EpochSampler(Sampler[int]):
    """Positions 0..count-1 in the order of one epoch, each plus `epoch * count`.

    The sum tells the data set the epoch, in whichever process it lives: that is why persistent workers and
    Lightning's distributed wrapper need nothing more.
    """

    def __init__(self, count: int, seed: int, epoch: int = 0, shuffle: bool = True) -> None:
        self.count, self.seed, self.epoch, self.shuffle = count, seed, epoch, shuffle

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        order = torch.arange(self.count)
        if self.shuffle:
            order = torch.randperm(self.count, generator=_generator(self.seed, 0, self.epoch))
        return iter((order + self.epoch * self.count).tolist())


class BatchedImages(Dataset[Any]):
    """Images at `indices` (`[K]`, int64); a list of positions gives a whole batch in one indexing operation."""

    def __init__(
        self, images: ImageSet, indices: torch.Tensor, augment: AugmentConfig | None, seed: int, classes: int = 0
    ) -> None:
        height, width = images.images.shape[-2:]
        if augment is not None and augment.shift >= min(height, width):
            raise NeurokdError(
                f"data.augment.shift is {augment.shift}, allowed is less than the side of the images, {height}x{width}"
            )
        self.images, self.indices, self.seed, self.classes = images, indices, seed, classes
        self.augment = augment if augment is not None and augment.active else None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Batch:
        """Return a batch of one."""
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """Return the batch at `positions`, numbers of an `EpochSampler`; the first one seeds the augmentation."""
        chosen = self.indices[torch.as_tensor(positions) % len(self)]
        images, labels = self.images.images[chosen], self.images.labels[chosen]
        if self.augment is not None:
            generator = _generator(self.seed, 1, positions[0])
            if self.images.frames:
                return augment_events(images, labels, self.augment, generator, self.classes)
            images = augment_images(images, self.augment, generator)
        return images, labels


def _generator(*key: int) -> torch.Generator:
    """Return a generator whose stream belongs to `key`; neighbouring keys have unrelated streams."""
    state = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state >> 1)


def _as_it_is(batch: Any) -> Any:
    """Collate nothing: `__getitems__` has already made a batch."""
    return batch
