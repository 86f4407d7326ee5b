"""What is known about every data set without opening it."""

from dataclasses import dataclass
from pathlib import Path

_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_CIFAR10 = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")


@dataclass(frozen=True)
class Entry:
    """One data set; `shape` is `(C, H, W)` and, like the counts, None where it depends on the user's files."""

    shape: tuple[int, int, int] | None
    classes: int | None
    train: int | None
    test: int | None
    how_to_get: str
    folder: str = ""
    files: tuple[str, ...] = ()
    """The files a published set needs in `folder`, below the data root."""

    @property
    def published(self) -> bool:
        """Whether `neurokd datasets prepare` can fetch it."""
        return bool(self.files)

    def missing(self, root: Path) -> list[Path]:
        """Return the files that are not below the data root `root`."""
        return [root / self.folder / file for file in self.files if not (root / self.folder / file).is_file()]


CATALOGUE = {
    "digits": Entry((1, 16, 16), 10, 1437, 360, "comes with scikit-learn, nothing to do"),
    "fashion-mnist": Entry(
        (1, 28, 28), 10, 60000, 10000, "neurokd datasets prepare fashion-mnist", "FashionMNIST/raw", _IDX
    ),
    "mnist": Entry((1, 28, 28), 10, 60000, 10000, "neurokd datasets prepare mnist", "MNIST/raw", _IDX),
    "cifar10": Entry(
        (3, 32, 32), 10, 50000, 10000, "neurokd datasets prepare cifar10", "cifar-10-batches-py", _CIFAR10
    ),
    "cifar100": Entry(
        (3, 32, 32),
        100,
        50000,
        10000,
        "neurokd datasets prepare cifar100",
        "cifar-100-python",
        ("train", "test", "meta"),
    ),
    "image-folder": Entry(
        None, None, None, None, "put images into PATH/train/CLASS/ and PATH/test/CLASS/ and set `path` in the recipe"
    ),
    "arrays": Entry(
        None,
        None,
        None,
        None,
        "put train.npz and test.npz with `images` and `labels` into PATH and set `path` in the recipe",
    ),
}
