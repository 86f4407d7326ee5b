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
    try:
        train, test = (KINDS[name](str(root), train=part, download=False) for part in (True, False))
        return DataSet(name, _image_set(train), _image_set(test), tuple(str(c) for c in train.classes))
    except Exception as error:  # torchvision raises anything from AssertionError to UnpicklingError
        raise _damaged(name, root, error) from error


def prepare_torchvision(name: str, root: Path) -> DataSet:
    """Download what is missing and return the set, or raise NeurokdError that says which files to put where."""
    if CATALOGUE[name].missing(root):
        root.mkdir(parents=True, exist_ok=True)
        try:
            KINDS[name](str(root), download=True)
        except (OSError, EOFError, RuntimeError, gzip.BadGzipFile) as error:
            raise NeurokdError(
                f"data '{name}' could not be downloaded ({_first_line(error)}); "
                f"put {_by_hand(name)} into '{_place(name, root)}' and run the same command again"
            ) from error
    return load_torchvision(name, root)


def _image_set(part: Any) -> ImageSet:
    images = torch.as_tensor(np.asarray(part.data))
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return ImageSet(images.contiguous(), torch.as_tensor(np.asarray(part.targets), dtype=torch.int64))


def _damaged(name: str, root: Path, error: Exception) -> NeurokdError:
    folder = root / CATALOGUE[name].folder
    for file in CATALOGUE[name].files:
        reason = _fault(name, folder / file)
        if reason:
            return NeurokdError(
                f"data '{name}': '{folder / file}' is damaged ({reason}); "
                f"delete it and run `neurokd datasets prepare {name}`"
            )
    return NeurokdError(
        f"data '{name}': the files in '{folder}' do not fit together ({_first_line(error)}); "
        f"delete the folder and run `neurokd datasets prepare {name}`"
    )


def _fault(name: str, path: Path) -> str | None:
    """Return what is wrong with one file; pickles are compared with their published MD5 and never opened."""
    kind = KINDS[name]
    if _is_idx(name):
        read = mnist.read_image_file if "images" in path.name else mnist.read_label_file
        try:
            read(str(path))
        except Exception as error:  # any content at all may be in there
            return _first_line(error)
        return None
    published = dict([*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])])
    return None if check_integrity(str(path), published[path.name]) else "its MD5 is not the published one"


def _is_idx(name: str) -> bool:
    return issubclass(KINDS[name], mnist.MNIST)


def _by_hand(name: str) -> str:
    """Name the files as they are published."""
    kind = KINDS[name]
    if _is_idx(name):
        return "the files " + ", ".join(f"{file}.gz" for file in CATALOGUE[name].files)
    return f"the file {kind.filename} (from {kind.url})"


def _place(name: str, root: Path) -> Path:
    return root / CATALOGUE[name].folder if _is_idx(name) else root


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
