"""Recordings in the formats of other tools."""

from collections.abc import Callable
from pathlib import Path

from neurokd.errors import NeurokdError
from neurokd.events.atis import from_atis
from neurokd.events.columns import Columns, from_hdf5, from_npy, from_npz
from neurokd.events.jaer import from_aedat3, from_aedat4
from neurokd.events.recording import Events

READERS: dict[str, Callable[[Path], Columns]] = {
    ".aedat": from_aedat3,
    ".aedat4": from_aedat4,
    ".bin": from_atis,
    ".h5": from_hdf5,
    ".hdf5": from_hdf5,
    ".npy": from_npy,
    ".npz": from_npz,
}


def read_recording(path: Path, sensor: tuple[int, int] | None = None, sort: bool = False) -> Events:
    """Return the one recording in `path`; its suffix names the format, a key of `READERS`.

    `sensor` is (height, width); only AEDAT 4 files know it themselves. `sort` as in `Events`.
    Raises NeurokdError that names the file, and the event where one is wrong or cut off.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise NeurokdError(f"recording '{path}': suffix '{path.suffix}' is unknown; allowed are {', '.join(READERS)}")
    try:
        columns = read(path)
        size = sensor or columns.sensor
        if size is None:
            raise NeurokdError("the file does not say how large the sensor is; give sensor as (height, width)")
        return Events(columns.t, columns.x, columns.y, columns.p, size, sort=sort)
    except NeurokdError as error:
        raise NeurokdError(f"recording '{path}': {error}") from error
    except Exception as error:  # for damaged content the readers raise anything from OSError to ValueError
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NeurokdError(f"recording '{path}' cannot be read ({reason}); repair or remove it") from error
