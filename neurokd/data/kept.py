"""Keep an array that takes long to make in the cache folder."""

import logging
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from neurokd.data.npz import stored_at
from neurokd.files import atomic_file

Kept = TypeVar("Kept", bound=npt.NDArray[Any])

CHUNK = 1 << 20  # bytes read at a time where a checksum is tested
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)

logger = logging.getLogger(__name__)


def kept_array(place: Path, key: str, make: Callable[[], Kept]) -> Kept:
    """Return the array kept in the npz file `place` under `key`; without one, make it and keep it.

    The file appears whole, so that processes may do this at the same time; its checksum is tested when it is read. A
    file that is damaged or has another key is made again. A folder that cannot be written costs time, nothing else.
    """
    kept: Kept | None = _read(place, key)
    if kept is not None:
        return kept
    made = make()
    try:
        with atomic_file(place) as part, part.open("wb") as handle:
            np.savez(handle, key=np.array(key), array=made)
    except OSError as error:
        logger.warning("'%s' could not be cached (%s)", place, error)
    return made


def kept_rows(place: Path, key: str, shape: tuple[int, ...], make: Callable[[], Iterable[Kept]]) -> int:
    """See that the npz file `place` holds the uint8 array `[N, ...]` of `key`; return the byte at which it starts.

    `make` gives the array in parts along its first axis: neither writing nor testing the checksum holds more than
    one part in memory. Otherwise as `kept_array`, but a folder that cannot be written raises OSError.
    """
    try:
        if _tested(place, key):
            return stored_at(place, "array")[0]
    except FileNotFoundError:
        pass
    except DAMAGED as error:
        logger.warning("cached file '%s' is unreadable (%s) and is made again", place, error)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with atomic_file(place) as part, zipfile.ZipFile(part, "w") as archive:
        with archive.open("key.npy", "w") as member:
            np.lib.format.write_array(member, np.array(key))
        with archive.open("array.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for rows in make():
                member.write(np.ascontiguousarray(rows).data)
    return stored_at(place, "array")[0]


def _tested(place: Path, key: str) -> bool:
    """Whether the file has this key, after a whole pass that tests its checksum."""
    with zipfile.ZipFile(place) as archive, archive.open("array.npy") as member:
        while member.read(CHUNK):
            pass
        with archive.open("key.npy") as name:
            return str(np.lib.format.read_array(name, allow_pickle=False)) == key


def _read(place: Path, key: str) -> Any:
    try:
        with np.load(place, allow_pickle=False) as archive:
            return archive["array"] if str(archive["key"]) == key else None
    except FileNotFoundError:
        return None
    except DAMAGED as error:
        logger.warning("cached file '%s' is unreadable (%s) and is made again", place, error)
        return None
