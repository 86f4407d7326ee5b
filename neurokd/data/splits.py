"""Stratified choices of samples: every class keeps its share."""

import numpy as np
import numpy.typing as npt

from neurokd.data.images import DataSet, IntArray, Split
from neurokd.errors import NeurokdError


def split(dataset: DataSet, validation: float, seed: int) -> Split:
    """Divide the training images into training and validation, class by class.

    The same images in the same order, `validation` (0 < validation < 1) and `seed` (0..2^32-1) give the same split on
    every machine. Every class keeps at least one training image. Raises NeurokdError when a part would be empty.
    """
    if not 0 < validation < 1:
        raise NeurokdError(f"validation part is {validation}, allowed is more than 0 and less than 1, e.g. 0.1")
    labels: IntArray = dataset.train.labels.numpy()
    chosen = stratified(labels, round(len(labels) * validation), seed, keep=1)
    if len(chosen) == 0:
        raise NeurokdError(
            f"data '{dataset.name}': {validation:g} of {len(labels)} training images is no validation image; "
            "raise `validation` or add images"
        )
    rest = np.setdiff1d(np.arange(len(labels), dtype=np.int64), chosen, assume_unique=True)
    return Split(train=rest, validation=chosen)


def stratified(labels: IntArray, count: int, seed: int, keep: int = 0) -> IntArray:
    """Choose `count` of `labels` (`[N]`), sorted, so that every class has its share up to one sample.

    The share is rounded by largest remainder; `keep` samples of every class are never chosen, so fewer than
    `count` may come back. Raises NeurokdError for a seed outside 0..2^32-1.

    >>> stratified(np.array([0, 0, 0, 0, 1, 1]), 3, seed=0).size
    3
    """
    if not 0 <= seed < 2**32:
        raise NeurokdError(f"seed is {seed}, allowed is 0..{2**32 - 1}")
    classes, sizes = np.unique(labels, return_counts=True)
    shares = _shares(sizes, count)
    generator = np.random.RandomState(seed)  # the one NumPy stream that is frozen for good (NEP 19)
    chosen: list[IntArray] = []
    for label, size, share in zip(classes, sizes, shares, strict=True):
        members = np.flatnonzero(labels == label)
        chosen.append(members[generator.permutation(size)[: min(share, max(size - keep, 0))]])
    result: IntArray = np.sort(np.concatenate(chosen))
    return result


def _shares(sizes: IntArray, count: int) -> IntArray:
    exact: npt.NDArray[np.float64] = sizes * (count / sizes.sum())
    shares: IntArray = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")[: count - int(shares.sum())]
    shares[largest] += 1
    return shares
