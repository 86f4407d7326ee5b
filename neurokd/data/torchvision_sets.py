"""The published sets that torchvision reads: Fashion-MNIST, MNIST, CIFAR-10, CIFAR-100."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import datasets  # type: ignore[import-untyped]
from torchvision.datasets import mnist  # type: ignore[import-untyped]
from torchvision.datasets.utils import check_integrity  # type: ignore[import-untyped]

from neurokd.data.catalogue import CATALOGUE
from neurokd.data.images import DataSet, ImageSet
from neurokd.errors import NeurokdError

KINDS: dict[str, Any] = {
    "fashion-mnist": datasets.FashionMNIST,
    "mnist": datasets.MNIST,
    "cifar10": datasets.CIFAR10,
    "cifar100": datasets.CIFAR100,
}


def load_torchvision(name: str, root: Path) -> DataSet:
    """Return the set `name` of `KINDS` with its official test part; nothing is downloaded.

    Raises NeurokdError that names the missing or damaged file.
    """
    missing = CATALOGUE[name].missing(root)
    if missing:
        raise NeurokdError(
            f"data '{name}': '{missing[0]}' is missing (data root: '{root}'); "
            f"run `neurokd datasets prepare {name}`, or set NEUROKD_DATA to the folder that has the data"
        )
    return _load_idx(name, root) if _is_idx(name) else _load_pickles(name, root)


def prepare_torchvision(name: str, root: Path) -> DataSet:
    """Download what is missing and return the set, or raise NeurokdError that says which files to put where."""
    if CATALOGUE[name].missing(root):
        root.mkdir(parents=True, exist_ok=True)
        try:
            KINDS[name](str(root), download=True)
        except (OSError, EOFError, RuntimeError, gzip.BadGzipFile) as error:
            raise NeurokdError(
                f"data '{name}' could not be downloaded ({_reason(error)}); {_by_hand(name, root)} "
                "and run the same command again"
            ) from error
    return load_torchvision(name, root)


def _is_idx(name: str) -> bool:
    return issubclass(KINDS[name], mnist.MNIST)


def _load_idx(name: str, root: Path) -> DataSet:
    """Read the four files of the MNIST format; the order is that of the catalogue."""
    paths = [root / CATALOGUE[name].folder / file for file in CATALOGUE[name].files]
    classes = tuple(str(label) for label in KINDS[name].classes)
    parts = []
    for images_path, labels_path in (paths[:2], paths[2:]):
        images = _read_idx(name, images_path, mnist.read_image_file)
        labels = _read_idx(name, labels_path, mnist.read_label_file)
        if len(images) != len(labels):
            raise _damaged(name, labels_path, f"{len(labels)} labels for {len(images)} images")
        if len(labels) and int(labels.max()) >= len(classes):
            raise _damaged(name, labels_path, f"label {int(labels.max())} of 0..{len(classes) - 1}")
        parts.append(ImageSet(images[:, None], labels))
    return DataSet(name, parts[0], parts[1], classes)


def _read_idx(name: str, path: Path, read: Any) -> torch.Tensor:
    try:
        tensor: torch.Tensor = read(str(path))
    except Exception as error:  # for bad content torchvision raises anything from AssertionError to KeyError
        raise _damaged(name, path, _reason(error) or "not in the IDX format") from error
    return tensor


def _load_pickles(name: str, root: Path) -> DataSet:
    """Read CIFAR. A pickle can run code: each is compared with its published MD5 before it is opened."""
    kind = KINDS[name]
    published = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
    for file, md5 in published:
        path = root / kind.base_folder / file
        if not check_integrity(str(path), md5):
            raise _damaged(name, path, "its MD5 is not the published one")
    train, test = (kind(str(root), train=part, download=False) for part in (True, False))
    return DataSet(name, _from_pickles(train), _from_pickles(test), tuple(str(label) for label in train.classes))


def _from_pickles(part: Any) -> ImageSet:
    images = torch.from_numpy(np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)))
    return ImageSet(images, torch.tensor(part.targets, dtype=torch.int64))


def _damaged(name: str, path: Path, reason: str) -> NeurokdError:
    return NeurokdError(
        f"data '{name}': '{path}' is damaged ({reason}); delete it and run `neurokd datasets prepare {name}`"
    )


def _by_hand(name: str, root: Path) -> str:
    kind, entry = KINDS[name], CATALOGUE[name]
    if _is_idx(name):
        return f"put the files {', '.join(f'{file}.gz' for file in entry.files)} into '{root / entry.folder}'"
    return f"put the file {kind.filename} (from {kind.url}) into '{root}'"


def _reason(error: Exception) -> str:
    """Return the first line of a foreign message, which may have many or none."""
    return (str(error).strip().splitlines() or [""])[0].rstrip(":")
