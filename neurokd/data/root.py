"""Where data sets lie on this machine."""

import os
from pathlib import Path

from neurokd.cache import cache_dir


def data_root(explicit: Path | None = None) -> Path:
    """Return the folder of data sets: the argument, else `$NEUROKD_DATA`, else `data` in the cache folder.

    The folder may not exist yet.

    >>> data_root(Path("/srv/data")).name
    'data'
    """
    if explicit is not None:
        return explicit.expanduser().absolute()
    chosen = os.environ.get("NEUROKD_DATA")
    return Path(chosen).expanduser().absolute() if chosen else cache_dir() / "data"
