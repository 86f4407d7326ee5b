"""Keep an array that takes long to make in the cache folder."""

import logging
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from neurokd.files import atomic_file

Kept = TypeVar("Kept", bound=npt.NDArray[Any])

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


def _read(place: Path, key: str) -> Any:
    try:
        with np.load(place, allow_pickle=False) as archive:
            return archive["array"] if str(archive["key"]) == key else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        logger.warning("cached file '%s' is unreadable (%s) and is made again", place, error)
        return None
