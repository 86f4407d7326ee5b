"""Frames of many recordings, made once and kept in the cache folder."""

import functools
import hashlib
import logging
import tempfile
from pathlib import Path

import numpy as np

from neurokd.cache import cache_dir
from neurokd.data.kept import kept_rows
from neurokd.data.stored import StoredImages
from neurokd.errors import NeurokdError
from neurokd.events.frames import FrameSettings, each_frames
from neurokd.events.recording import Array, Recordings
from neurokd.events.sets import EventSet

FORMAT = 2  # change it when the same events and settings give other frames
CHUNK = 1 << 20  # events that are hashed at a time

logger = logging.getLogger(__name__)


def cached_frames(recordings: Recordings, settings: FrameSettings) -> StoredImages:
    """Return the frames of all recordings, uint8 `[N, T, C, H, W]`, in a file of the cache that is read on demand.

    The file's name is a checksum of the events, the settings and the version of the code: where the file came from or
    when it was changed plays no part. Several processes may do this at once; a damaged file is made again. Neither the
    events nor the frames are held in memory as a whole. Where the cache cannot be written, the file is temporary.
    Raises NeurokdError as `frames_of` does, and for frames that are not uint8.
    """
    if settings.dtype != "uint8":
        raise NeurokdError(f"frames: dtype is '{settings.dtype}', allowed in the cache is uint8; use frames_of")
    key = hashlib.sha256(f"{FORMAT} {settings} {_fingerprint(recordings)}".encode()).hexdigest()
    place = cache_dir() / "event-frames" / f"{key[:24]}.npz"
    shape = (len(recordings), *settings.shape(recordings[0].sensor))
    try:
        start = kept_rows(place, key, shape, lambda: each_frames(recordings, settings))
    except OSError as error:
        logger.warning("'%s' could not be cached (%s)", place, error)
        place = Path(_temporary().name) / place.name
        start = kept_rows(place, key, shape, lambda: each_frames(recordings, settings))
    return StoredImages(place, start, shape, key)


@functools.cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes with the process."""
    return tempfile.TemporaryDirectory(prefix="neurokd-")


def _fingerprint(recordings: Recordings) -> str:
    """SHA-256 of the events: equal only for equal recordings in equal order."""
    digest = hashlib.sha256()
    if not isinstance(recordings, EventSet):
        for number in range(len(recordings)):
            digest.update(recordings[number].fingerprint().encode())
        return digest.hexdigest()
    digest.update(f"{recordings.sensor} {recordings.sort}".encode())
    if recordings.rows is not None:
        digest.update(b"rows" + _bytes(recordings.rows))
    for column in (recordings.offsets, recordings.t, recordings.x, recordings.y, recordings.p):
        digest.update(f"{column.dtype.str} {len(column)}".encode())
        for start in range(0, len(column), CHUNK):
            digest.update(_bytes(column[start : start + CHUNK]))
    return digest.hexdigest()


def _bytes(column: Array) -> bytes:
    return np.ascontiguousarray(column).tobytes()
