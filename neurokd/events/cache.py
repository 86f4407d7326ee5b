"""Frames of many recordings, made once and kept in the cache folder."""

import hashlib

from neurokd.cache import cache_dir
from neurokd.data.kept import kept_array
from neurokd.events.frames import FrameSettings, frames_of
from neurokd.events.recording import Array, Recordings

FORMAT = 1  # change it when the same events and settings give other frames


def cached_frames(recordings: Recordings, settings: FrameSettings) -> Array:
    """Return the frames of all recordings, `[N, T, C, H, W]`, as `frames_of` does.

    The file's name is a checksum of the events, the settings and the version of the code: where the file came from or
    when it was changed plays no part. Several processes may do this at once; a damaged file is made again.
    """
    digest = hashlib.sha256(f"{FORMAT} {settings}".encode())
    for number in range(len(recordings)):
        digest.update(recordings[number].fingerprint().encode())
    key = digest.hexdigest()
    return kept_array(cache_dir() / "event-frames" / f"{key[:24]}.npz", key, lambda: frames_of(recordings, settings))
