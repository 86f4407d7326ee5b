"""Which test images are shown: the same for every network, fixed by a seed."""

import numpy as np
import torch

from neurokd.data.images import DataSet, IntArray
from neurokd.data.splits import stratified
from neurokd.errors import NeurokdError

SAMPLES = 1000
PER_CLASS = 3  # below that, neighbours of the same class are a matter of luck


def choose_samples(dataset: DataSet, samples: int | None, seed: int) -> IntArray:
    """Sorted indices of test images, every class with its share; by default 1000, or all where there are fewer.

    Raises NeurokdError outside three per class to all.
    """
    available, least = len(dataset.test), PER_CLASS * len(dataset.classes)
    count = min(available, max(SAMPLES, least)) if samples is None else samples
    if not least <= count <= available:
        raise NeurokdError(
            f"--samples: {count} of {available} test images of '{dataset.name}', allowed is {least} ({PER_CLASS} per "
            f"class) to {available}; give another number, or leave tsne out with --only"
        )
    return stratified(dataset.test.labels.numpy(), count, seed)


def choose_images(dataset: DataSet, count: int, seed: int) -> IntArray:
    """Indices of `count` test images, sorted by class; of different classes as far as there are enough.

    Raises NeurokdError outside 1 to all.
    """
    labels: IntArray = dataset.test.labels.numpy()
    if not 1 <= count <= len(labels):
        raise NeurokdError(f"--images: {count}, allowed is 1 to {len(labels)}, the test images of '{dataset.name}'")
    pool = stratified(labels, min(len(labels), max(count, len(dataset.classes))), seed)
    chosen = pool[np.random.RandomState(seed).permutation(len(pool))[:count]]
    result: IntArray = chosen[np.lexsort((chosen, labels[chosen]))]
    return result


def test_images(dataset: DataSet, chosen: IntArray) -> torch.Tensor:
    """The chosen test images, uint8 `[N, C, H, W]`, or the frames of the chosen recordings, `[N, T, C, H, W]`."""
    return dataset.test.images[torch.from_numpy(chosen)]
