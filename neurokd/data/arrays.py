"""Images and labels from two npz files."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from neurokd.data.images import DataSet, ImageSet
from neurokd.errors import NeurokdError

MAX_CHANNELS = 4
LAYOUT = "uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] with at most 4 channels"
Array = npt.NDArray[Any]


def load_arrays(folder: Path) -> DataSet:
    """Return the data of `train.npz` and `test.npz` in `folder`; nothing in them is executed.

    Each has `images` (uint8 `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]`) and `labels` (integers `[N]`, 0..K-1);
    `train.npz` may have `classes`, the K names. Raises NeurokdError that names the file and the key.
    """
    parts = {}
    for part in ("train", "test"):
        path = folder / f"{part}.npz"
        arrays = _read(path)
        parts[part] = (_images(path, arrays["images"]), _labels(path, arrays))
        if part == "train":
            classes = _classes(path, arrays)
    (train_images, train_labels), (test_images, test_labels) = parts["train"], parts["test"]
    _check_range(folder / "test.npz", test_labels, len(classes))
    if train_images.shape[1:] != test_images.shape[1:]:
        raise _error(
            folder / "test.npz",
            "images",
            f"got {list(test_images.shape[1:])} [C, H, W]; train.npz has {list(train_images.shape[1:])}",
        )
    train, test = ImageSet(train_images, train_labels), ImageSet(test_images, test_labels)
    return DataSet(folder.name, train, test, classes)


def _read(path: Path) -> dict[str, Array]:
    """Return the known arrays of one file."""
    if not path.is_file():
        raise NeurokdError(f"data 'arrays': '{path}' is missing; the folder needs train.npz and test.npz")
    arrays: dict[str, Array] = {}
    key = "(archive)"
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise _error(path, key, "this is a single array; save with numpy.savez(path, images=..., labels=...)")
        with archive:
            for key in ("images", "labels", "classes"):
                if key in archive.files:
                    arrays[key] = archive[key]
                elif key != "classes":
                    raise _error(path, key, f"missing, the file has {sorted(archive.files)}; add it")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise _error(path, key, f"cannot be read ({error or type(error).__name__}); write the file again") from error
    return arrays


def _images(path: Path, images: Array) -> torch.Tensor:
    """Return `images` as `[N, C, H, W]`."""
    if images.dtype != np.uint8:
        found = f"{images.dtype}{' with NaN' if _has_nan(images) else ''}"
        raise _error(path, "images", f"got {found}, allowed is {LAYOUT}; scale the pixels to 0..255 and convert them")
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4:
        first, last = images.shape[1] <= MAX_CHANNELS, images.shape[3] <= MAX_CHANNELS
        if first == last:
            what = "more than one reading" if first else "no axis of at most 4 channels"
            raise _error(path, "images", f"shape {list(images.shape)} has {what}; allowed is {LAYOUT}")
        images = images if first else images.transpose(0, 3, 1, 2)
    else:
        raise _error(path, "images", f"got shape {list(images.shape)}, allowed is {LAYOUT}")
    if 0 in images.shape:
        raise _error(path, "images", f"shape {list(images.shape)} has no pixel; add images")
    return torch.from_numpy(np.ascontiguousarray(images))


def _labels(path: Path, arrays: dict[str, Array]) -> torch.Tensor:
    labels, count = arrays["labels"], len(arrays["images"])
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        found = f"{labels.dtype}{' with NaN' if _has_nan(labels) else ''} {list(labels.shape)}"
        raise _error(path, "labels", f"got {found}, allowed are integers [N]; convert them")
    if len(labels) != count:
        raise _error(path, "labels", f"got {len(labels)} for {count} images; give one label per image")
    if int(labels.min()) < 0:
        raise _error(path, "labels", f"got {int(labels.min())}, allowed is 0 and more; number the classes from 0")
    return torch.from_numpy(labels.astype(np.int64))


def _classes(path: Path, arrays: dict[str, Array]) -> tuple[str, ...]:
    present = np.unique(arrays["labels"])
    if "classes" not in arrays:
        if len(present) != int(present[-1]) + 1:
            gap = next(number for number, label in enumerate(present.tolist()) if number != label)
            raise _error(path, "labels", f"class {gap} has no training image; number the classes without gaps")
        return tuple(str(number) for number in range(len(present)))
    names = arrays["classes"]
    if names.dtype.kind != "U" or names.ndim != 1:
        raise _error(path, "classes", f"got {names.dtype} {list(names.shape)}, allowed are strings [K]")
    _check_range(path, arrays["labels"], len(names))
    return tuple(str(name) for name in names)


def _check_range(path: Path, labels: Any, classes: int) -> None:
    if int(labels.max()) >= classes:
        raise _error(path, "labels", f"got {int(labels.max())}, allowed is 0..{classes - 1} for {classes} classes")


def _has_nan(values: Array) -> bool:
    return values.dtype.kind in "fc" and bool(np.isnan(values).any())


def _error(path: Path, key: str, message: str) -> NeurokdError:
    return NeurokdError(f"'{path}', key '{key}': {message}")
