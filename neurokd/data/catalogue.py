"""What is known about every data set without opening it."""

from dataclasses import dataclass
from pathlib import Path

_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_CIFAR10 = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")


@dataclass(frozen=True)
class Entry:
    """One data set; `shape` is `(C, H, W)` and, like the counts, None where it depends on the user's files.

    Of event recordings, `(H, W)` is the sensor and C the two polarities. `test` is None, and `train` the number of all,
    where a set comes without an official split.
    """

    shape: tuple[int, int, int] | None
    classes: int | None
    train: int | None
    test: int | None
    how_to_get: str
    folder: str = ""
    files: tuple[str, ...] = ()
    """The files a published set needs in `folder`, below the data root."""
    events: bool = False
    """Whether it holds event recordings, not images."""

    @property
    def published(self) -> bool:
        """Whether `neurokd datasets prepare` can fetch or make it."""
        return bool(self.files)

    def missing(self, root: Path) -> list[Path]:
        """Return the files that are not below the data root `root`."""
        return [root / self.folder / file for file in self.files if not (root / self.folder / file).is_file()]


def _events(name: str, height: int, width: int, classes: int, train: int, test: int | None = None) -> Entry:
    """Return a set that `prepare` writes into the folder `name`: one file where it has no official split."""
    files = ("all.npz",) if test is None else ("train.npz", "test.npz")
    return Entry((2, height, width), classes, train, test, f"neurokd datasets prepare {name}", name, files, True)


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
    "digits-dvs": Entry(
        (2, 34, 34), 10, 1437, 360, "simulated from scikit-learn's digits in seconds, nothing to do", events=True
    ),
    "nmnist": _events("nmnist", 34, 34, classes=10, train=60000, test=10000),
    "dvs-gesture": _events("dvs-gesture", 128, 128, classes=11, train=1077, test=264),
    "cifar10-dvs": _events("cifar10-dvs", 128, 128, classes=10, train=10000),
    "ncaltech101": _events("ncaltech101", 180, 240, classes=101, train=8709),
    "events": Entry(
        None,
        None,
        None,
        None,
        "write train.npz and test.npz with `neurokd datasets simulate-events` or `import` and set `path` in the recipe",
        events=True,
    ),
}
