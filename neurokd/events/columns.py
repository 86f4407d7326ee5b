"""One recording in an npy, npz or HDF5 file: four arrays, or one array with four fields."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.events.recording import Array

NAMES = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on"),
}


@dataclass(frozen=True, eq=False)
class Columns:
    """Events as a file has them, unchecked; `sensor` (height, width) where the file knows it."""

    t: Array
    x: Array
    y: Array
    p: Array
    sensor: tuple[int, int] | None = None


def from_npy(path: Path) -> Columns:
    """Read a structured array, `[M]`; raises NeurokdError for any other array."""
    return _from_fields(np.load(path, allow_pickle=False))


def from_npz(path: Path) -> Columns:
    """Read four arrays, or the one structured array of the file; nothing is executed."""
    with np.load(path, allow_pickle=False) as archive:
        if len(archive.files) == 1:
            return _from_fields(archive[archive.files[0]])
        return _from_names(archive, archive.files)


def from_hdf5(path: Path) -> Columns:
    """Read the one group with four arrays or the one compound array, wherever in the file it lies."""
    import h5py

    found: dict[str, Any] = {}
    with h5py.File(path, "r") as file:

        def look(name: str, item: Any) -> None:
            if _named(item.keys() if isinstance(item, h5py.Group) else item.dtype.names or ()):
                found[name] = item

        look("/", file)
        file.visititems(look)
        if len(found) != 1:
            raise NeurokdError(
                f"it has {len(found)} places with events ({', '.join(found) or 'none'}), allowed is one; "
                f"name its arrays {', '.join(NAMES)}"
            )
        (item,) = found.values()
        return _from_names(item, item.keys()) if isinstance(item, h5py.Group) else _from_fields(item[...])


def _named(present: Iterable[str]) -> dict[str, str] | None:
    """Which of the names `present` holds which column, or None when one is missing."""
    known = set(present)
    chosen = {key: next((name for name in names if name in known), "") for key, names in NAMES.items()}
    return chosen if all(chosen.values()) else None


def _from_names(source: Mapping[str, Any], present: Iterable[str]) -> Columns:
    chosen = _named(present)
    if chosen is None:
        raise NeurokdError(f"it has {sorted(present)}, allowed are arrays t, x, y, p; name them so")
    t, x, y, p = (np.asarray(source[chosen[key]]) for key in "txyp")
    return Columns(t, x, y, p)


def _from_fields(array: Array) -> Columns:
    if array.dtype.names is None:
        raise NeurokdError(
            f"it holds {array.dtype} {list(array.shape)}, allowed is a structured array [M] with the fields t, x, y, p"
        )
    return _from_names({name: array[name] for name in array.dtype.names}, array.dtype.names)
