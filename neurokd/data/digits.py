"""The handwritten digits that come with scikit-learn: a real data set that needs no download."""

import numpy as np
import torch

from neurokd.data.images import DataSet, ImageSet, IntArray
from neurokd.data.splits import stratified

TEST_IMAGES = 360  # 20 % of 1,797
TEST_SEED = 20240  # fixed for good: another value would be another test set


def load_digits() -> DataSet:
    """Return 1,437 training and 360 test images, `[1, 16, 16]`.

    The 8x8 images with values 0..16 (UCI "Optical Recognition of Handwritten Digits", Alpaydin & Kaynak 1998) are
    scaled bilinearly to 16x16 and linearly to 0..255. The test part is a stratified choice with a fixed seed.
    """
    from sklearn import datasets

    bunch = datasets.load_digits()
    small = torch.from_numpy(np.asarray(bunch.images, dtype=np.float32))[:, None]
    large = torch.nn.functional.interpolate(small, size=(16, 16), mode="bilinear", align_corners=False)
    images = (large * (255 / 16)).round().to(torch.uint8)
    labels = np.asarray(bunch.target, dtype=np.int64)
    train, test = official_split(labels)
    everything = ImageSet(images, torch.from_numpy(labels))
    return DataSet(
        name="digits",
        train=everything.subset(torch.from_numpy(train)),
        test=everything.subset(torch.from_numpy(test)),
        classes=tuple(str(digit) for digit in range(10)),
    )


def official_split(labels: IntArray) -> tuple[IntArray, IntArray]:
    """Return the numbers of the training and the test images among all 1,797 (`labels`), sorted and disjoint."""
    test = stratified(labels, TEST_IMAGES, TEST_SEED)
    return np.setdiff1d(np.arange(len(labels), dtype=np.int64), test, assume_unique=True), test
