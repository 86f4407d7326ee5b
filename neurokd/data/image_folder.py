"""Images from a folder with one sub-folder per class."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from neurokd.data.decode import ImageSize, decode
from neurokd.data.images import DataSet, ImageSet
from neurokd.errors import NeurokdError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
TEST_SHARE = 5  # one file in five, where there is no test folder

logger = logging.getLogger(__name__)


def load_image_folder(folder: Path, image_size: ImageSize | None = None) -> DataSet:
    """Return the images of `train/<class>/*` and `test/<class>/*` in `folder`; label `k` is the k-th class by name.

    Files are ordered by class and name. Without a `test` folder about one training file in five is taken for the
    test: those whose hashed name says so, which stay the same when files are added. `image_size` resizes to a square
    or to (height, width). Images are `[1, H, W]` when all are grey, else `[3, H, W]`.
    Raises NeurokdError that names the file or folder.
    """
    train_folder, test_folder = folder / "train", folder / "test"
    if not train_folder.is_dir():
        raise NeurokdError(
            f"data 'image-folder': '{train_folder}' is missing; it must hold one folder of images per class"
        )
    classes = _class_names(train_folder)
    train = _files(train_folder, classes)
    if test_folder.is_dir():
        unknown = sorted(set(_class_names(test_folder)) - set(classes))
        if unknown:
            raise NeurokdError(
                f"data 'image-folder': class '{unknown[0]}' is in '{test_folder}' but not in '{train_folder}'; "
                "rename or remove it"
            )
        test = _files(test_folder, classes)
    else:
        train, test = _hashed_split(train)
    for part, files in (("training", train), ("test", test)):
        if not files:
            raise NeurokdError(f"data 'image-folder': '{folder}' gives no {part} image; add png or jpg files")
    pixels = torch.from_numpy(decode(folder, [*train, *test], image_size))
    labels = torch.tensor([classes.index(path.parent.name) for path in [*train, *test]], dtype=torch.int64)
    cut = len(train)
    parts = ImageSet(pixels[:cut], labels[:cut]), ImageSet(pixels[cut:], labels[cut:])
    return DataSet(folder.name, *parts, tuple(classes))


def _class_names(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise NeurokdError(f"data 'image-folder': '{folder}' has no class folders; make one folder of images per class")
    return names


def _files(folder: Path, classes: Sequence[str]) -> list[Path]:
    """Return the images of `folder`, by class and name; other files are counted in the log."""
    files: list[Path] = []
    others = 0
    for name in classes:
        present = sorted((folder / name).iterdir(), key=lambda path: path.name) if (folder / name).is_dir() else []
        images = [path for path in present if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
        others += len(present) - len(images)
        if not images and folder.name == "train":
            raise NeurokdError(
                f"data 'image-folder': class folder '{folder / name}' has no png or jpg; add some or remove it"
            )
        files += images
    if others:
        logger.warning("data 'image-folder': %d entries in '%s' are no png or jpg and were left out", others, folder)
    return files


def _hashed_split(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    train: list[Path] = []
    test: list[Path] = []
    for path in files:
        digest = hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).digest()
        (test if digest[0] * 256 + digest[1] < 65536 // TEST_SHARE else train).append(path)
    without = sorted({path.parent.name for path in files} - {path.parent.name for path in train})
    if without:
        raise NeurokdError(
            f"data 'image-folder': the split by file name leaves class '{without[0]}' no training image; "
            "make a test folder or add images"
        )
    return train, test
