"""Where neurokd keeps what it can rebuild: decoded images, downloaded data, the managed Lava environment."""

import os
from pathlib import Path

from platformdirs import user_cache_dir


def cache_dir() -> Path:
    """Return the cache folder: `$NEUROKD_CACHE` where set, else the user's cache; the folder may not exist yet.

    >>> os.environ["NEUROKD_CACHE"] = "/tmp/neurokd-doctest"
    >>> cache_dir().name
    'neurokd-doctest'
    >>> del os.environ["NEUROKD_CACHE"]
    """
    chosen = os.environ.get("NEUROKD_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else Path(user_cache_dir("neurokd"))
