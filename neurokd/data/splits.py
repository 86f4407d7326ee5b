"""Choices of samples that every machine repeats: every class keeps its share, and no group is divided."""

import hashlib

import numpy as np
import numpy.typing as npt

from neurokd.data.images import DataSet, IntArray, Split
from neurokd.errors import NeurokdError


def split(dataset: DataSet, validation: float, seed: int) -> Split:
    """Divide the training images into training and validation: class by class, or by their groups (`divide`).

    The same images in the same order, `validation` (0 < validation < 1) and `seed` (0..2^32-1) give the same split on
    every machine. Every class keeps at least one training image. Raises NeurokdError when a part would be empty.
    """
    _check_part("validation part", validation)
    labels: IntArray = dataset.train.labels.numpy()
    if dataset.train.groups is not None:
        return Split(*divide(labels, dataset.train.groups, validation, seed))
    chosen = stratified(labels, round(len(labels) * validation), seed, keep=1)
    if len(chosen) == 0:
        raise NeurokdError(
            f"data '{dataset.name}': {validation:g} of {len(labels)} training images is no validation image; "
            "raise `validation` or add images"
        )
    rest = np.setdiff1d(np.arange(len(labels), dtype=np.int64), chosen, assume_unique=True)
    return Split(train=rest, validation=chosen)


def divide(labels: IntArray, groups: IntArray, share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return sorted indices of the rest and of `share` (0 < share < 1) of the samples, no group on both sides.

    `labels` and `groups` are `[N]`. Groups come in the order of the SHA-256 of "seed:group", so that the order of the
    samples plays no part, and are taken until the share is reached, of each class if every group has only one, else
    of all; the last group may exceed it. One that would leave a class without a sample in the rest is passed over.
    Raises NeurokdError if no group can be taken, for a share outside 0..1 or a seed outside 0..2^32-1.

    >>> rest, chosen = divide(np.zeros(6, dtype=np.int64), np.array([7, 7, 8, 8, 9, 9]), 0.3, seed=0)
    >>> len(rest), len(chosen)
    (4, 2)
    """
    _check_part("part", share)
    _check_seed(seed)
    ids, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    counts = _counts(labels, group_of)
    stratum = _strata(counts)
    wanted = _shares(np.bincount(stratum, sizes).astype(np.int64), round(len(labels) * share))
    left, taken = counts.sum(axis=0), np.zeros(len(ids), dtype=bool)
    for group in _by_hash(ids, seed):
        if wanted[stratum[group]] > 0 and np.all(left > counts[group]):
            taken[group] = True
            wanted[stratum[group]] -= sizes[group]
            left -= counts[group]
    if not taken.any():
        raise NeurokdError(
            f"groups: of {len(ids)} groups with {len(labels)} samples none can be set aside as a part of {share:g} "
            "that leaves every class a sample; raise the part or add groups"
        )
    return np.flatnonzero(~taken[group_of]), np.flatnonzero(taken[group_of])


def folds(labels: IntArray, groups: IntArray, count: int, seed: int) -> IntArray:
    """Return the fold 0..`count` - 1 of every sample `[N]`: whole groups, in the order of their SHA-256, in turns.

    As in `divide`, class by class where every group has one class. Raises NeurokdError for fewer groups than folds.

    >>> folds(np.zeros(6, dtype=np.int64), np.array([7, 7, 8, 8, 9, 9]), 3, seed=0)
    array([0, 0, 2, 2, 1, 1])
    """
    _check_seed(seed)
    ids, group_of = np.unique(groups, return_inverse=True)
    if not 2 <= count <= len(ids):
        raise NeurokdError(f"folds: {count} of {len(ids)} groups, allowed is 2 to the number of groups")
    stratum = _strata(_counts(labels, group_of))
    order = sorted(_by_hash(ids, seed), key=lambda group: int(stratum[group]))  # stable: by hash in a class
    fold = np.empty(len(ids), dtype=np.int64)
    fold[order] = np.arange(len(ids)) % count
    return fold[group_of]


def stratified(labels: IntArray, count: int, seed: int, keep: int = 0) -> IntArray:
    """Choose `count` of `labels` (`[N]`), sorted, so that every class has its share up to one sample.

    The share is rounded by largest remainder; `keep` samples of every class are never chosen, so fewer than
    `count` may come back. Raises NeurokdError for a seed outside 0..2^32-1.

    >>> stratified(np.array([0, 0, 0, 0, 1, 1]), 3, seed=0).size
    3
    """
    _check_seed(seed)
    classes, sizes = np.unique(labels, return_counts=True)
    shares = _shares(sizes, count)
    generator = np.random.RandomState(seed)  # the one NumPy stream that is frozen for good (NEP 19)
    chosen: list[IntArray] = []
    for label, size, share in zip(classes, sizes, shares, strict=True):
        members = np.flatnonzero(labels == label)
        chosen.append(members[generator.permutation(size)[: min(share, max(size - keep, 0))]])
    result: IntArray = np.sort(np.concatenate(chosen))
    return result


def fingerprint(indices: IntArray) -> str:
    """Return the SHA-256 of `indices` as little-endian int64: two splits are equal if these are.

    >>> fingerprint(np.array([0, 1]))[:8]
    '9d34149f'
    """
    return hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest()


def _check_part(name: str, share: float) -> None:
    if not 0 < share < 1:
        raise NeurokdError(f"{name} is {share}, allowed is more than 0 and less than 1, e.g. 0.1")


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise NeurokdError(f"seed is {seed}, allowed is 0..{2**32 - 1}")


def _counts(labels: IntArray, group_of: IntArray) -> IntArray:
    """Samples of each group in each class, `[groups, classes]`."""
    classes, class_of = np.unique(labels, return_inverse=True)
    counts = np.zeros((int(group_of.max()) + 1, len(classes)), dtype=np.int64)
    np.add.at(counts, (group_of, class_of), 1)
    return counts


def _strata(counts: IntArray) -> IntArray:
    """The class of each group if every group has only one, else one stratum for all."""
    pure = bool((np.count_nonzero(counts, axis=1) == 1).all())
    return counts.argmax(axis=1) if pure else np.zeros(len(counts), dtype=np.int64)


def _by_hash(ids: IntArray, seed: int) -> list[int]:
    """The numbers of the groups in an order that depends on their ids and the seed alone."""
    return sorted(range(len(ids)), key=lambda k: hashlib.sha256(f"{seed}:{ids[k]}".encode()).digest())


def _shares(sizes: IntArray, count: int) -> IntArray:
    exact: npt.NDArray[np.float64] = sizes * (count / sizes.sum())
    shares: IntArray = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")[: count - int(shares.sum())]
    shares[largest] += 1
    return shares
