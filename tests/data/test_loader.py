"""Batches follow from the seed and the epoch, with any number of workers."""

import numpy as np
import pytest
import torch

from neurokd.data.augment_config import AugmentConfig
from neurokd.data.images import ImageSet
from neurokd.data.loader import batches
from neurokd.errors import NeurokdError

IMAGES = ImageSet(
    torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
    torch.arange(50),
)
INDICES = np.arange(5, 47)
VARIED = AugmentConfig(flip=True, shift=2, cutout=2)


def content(loader: object) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*loader, strict=True)  # type: ignore[call-overload]
    return torch.cat(images), torch.cat(labels)


def equal(one: object, other: object) -> bool:
    return all(torch.equal(a, b) for a, b in zip(content(one), content(other), strict=True))


def test_without_shuffle_the_order_is_that_of_the_indices() -> None:
    images, labels = content(batches(IMAGES, INDICES, 8, seed=0))
    assert labels.tolist() == INDICES.tolist()
    assert torch.equal(images, IMAGES.images[INDICES])


def test_with_shuffle_each_image_comes_once_and_the_incomplete_batch_is_dropped() -> None:
    loader = batches(IMAGES, INDICES, 8, seed=0, shuffle=True)
    assert len(loader) == 5
    labels = content(loader)[1]
    assert len(labels) == len(set(labels.tolist())) == 40
    assert set(labels.tolist()) <= set(INDICES.tolist())


def test_the_seed_and_the_epoch_decide() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return content(batches(IMAGES, INDICES, 8, seed=seed, epoch=epoch, shuffle=True))[1].tolist()

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_set_epoch_is_the_epoch_argument() -> None:
    moved = batches(IMAGES, INDICES, 8, seed=3, shuffle=True, augment=VARIED)
    moved.sampler.set_epoch(7)  # type: ignore[attr-defined]
    assert equal(moved, batches(IMAGES, INDICES, 8, seed=3, shuffle=True, augment=VARIED, epoch=7))


def test_augmentation_differs_between_epochs_even_in_the_same_order() -> None:
    first = batches(IMAGES, INDICES, 8, seed=0, augment=VARIED)
    second = batches(IMAGES, INDICES, 8, seed=0, augment=VARIED, epoch=1)
    assert torch.equal(content(first)[1], content(second)[1])
    assert not torch.equal(content(first)[0], content(second)[0])


def test_workers_change_nothing_in_any_epoch() -> None:
    alone = batches(IMAGES, INDICES, 8, seed=0, shuffle=True, augment=VARIED)
    helped = batches(IMAGES, INDICES, 8, seed=0, shuffle=True, augment=VARIED, workers=2)
    for epoch in (0, 1):  # the workers persist
        alone.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        helped.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        assert equal(alone, helped)


def test_the_global_generator_does_not_decide() -> None:
    torch.manual_seed(1)
    first = content(batches(IMAGES, INDICES, 8, seed=0, shuffle=True, augment=VARIED))
    torch.manual_seed(2)
    second = content(batches(IMAGES, INDICES, 8, seed=0, shuffle=True, augment=VARIED))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_lightning_tells_the_epoch() -> None:
    import lightning

    seen: list[list[int]] = []

    class Watcher(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(64, 1)

        def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
            seen.append(batch[1].tolist())
            return self.layer(batch[0].flatten(1).float()).mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.0)

    trainer = lightning.Trainer(
        max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu",
    )  # fmt: skip
    trainer.fit(Watcher(), batches(IMAGES, INDICES, 8, seed=4, shuffle=True))
    for epoch in (0, 1):
        expected = content(batches(IMAGES, INDICES, 8, seed=4, shuffle=True, epoch=epoch))[1].tolist()
        assert [label for batch in seen[5 * epoch : 5 * epoch + 5] for label in batch] == expected


@pytest.mark.parametrize(
    ("indices", "batch_size", "shuffle", "message"),
    [
        (INDICES[:0], 8, False, "0 images in batches of 8"),
        (INDICES, 0, False, "42 images in batches of 0"),
        (INDICES, 43, True, "batch size is 43, but there are only 42"),
    ],
)
def test_no_batch_is_refused(indices: np.ndarray, batch_size: int, shuffle: bool, message: str) -> None:
    with pytest.raises(NeurokdError, match=message):
        batches(IMAGES, indices, batch_size, seed=0, shuffle=shuffle)
