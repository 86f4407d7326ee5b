"""Event sets in one npz file, column by column."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from neurokd.data.npz import stored_at
from neurokd.errors import NeurokdError
from neurokd.events.recording import Array
from neurokd.events.sets import EventSet
from neurokd.events.writer import EventWriter

EVENT_KEYS = ("t", "x", "y", "p")
KEYS = (*EVENT_KEYS, "offsets", "labels", "sensor_size")


def read_events(path: Path, sort: bool = False) -> EventSet:
    """Return the recordings of an npz file; a column that is stored without compression is mapped, not read.

    Keys: `t` (integers, us), `x`, `y`, `p` `[M]`; `offsets` `[N+1]`; `labels` `[N]`; `sensor_size` (height, width);
    and, where present, `sample_id` and `group` `[N]` and `class_names` `[K]`. A recording's events are checked when it
    is asked for, with `sort` as in `Events`. Nothing in the file is executed. A mapped column is not held against its
    checksum.
    Raises NeurokdError that names the file and the key.
    """
    if not path.is_file():
        raise NeurokdError(f"events '{path}': there is no such file; write one with write_events")
    columns = _columns(path)
    for key in KEYS:
        if key not in columns:
            raise _error(path, key, f"missing, the file has {sorted(columns)}; add it")
    for key, column in columns.items():
        _check(path, key, column)
    sample_ids = columns.get("sample_id", np.arange(len(columns["offsets"]) - 1))
    try:
        return EventSet(
            **{key: columns[key] for key in (*EVENT_KEYS, "offsets", "labels")},
            sample_ids=sample_ids,
            groups=columns.get("group", sample_ids),
            sensor=(int(columns["sensor_size"][0]), int(columns["sensor_size"][1])),
            classes=tuple(str(name) for name in columns.get("class_names", ())),
            sort=sort,
            source=str(path),
        )
    except NeurokdError as error:
        raise NeurokdError(f"'{path}': {error}") from error


def write_events(path: Path, data: EventSet) -> None:
    """Write `data` so that `read_events` gives it back; every recording is checked first, the file appears whole.

    Times become uint32 and coordinates uint8 where they fit. The columns can be mapped when they are read.
    """
    with EventWriter(path, data.sensor, data.classes) as writer:
        for events, *row in zip(data, data.labels, data.sample_ids, data.groups, strict=True):
            writer.add(events, *(int(number) for number in row))


def _columns(path: Path) -> dict[str, Array]:
    key = "(archive)"
    columns: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                key = member.filename.removesuffix(".npy")
                if key in (*KEYS, "sample_id", "group", "class_names"):
                    columns[key] = _column(path, archive, member)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise _error(path, key, f"cannot be read ({error or type(error).__name__}); write the file again") from error
    return columns


def _column(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """Map a stored member where it lies in the file; read a compressed one."""
    if member.compress_type == zipfile.ZIP_STORED:
        start, shape, dtype = stored_at(path, member.filename.removesuffix(".npy"))
        if np.prod(shape, dtype=np.int64) > 0:  # nothing cannot be mapped
            return np.memmap(path, dtype, "r", start, shape)
    with archive.open(member) as stream:
        values: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return values


def _check(path: Path, key: str, column: Array) -> None:
    kinds, allowed = {"p": ("iub", "integers or bool"), "class_names": ("U", "strings")}.get(key, ("iu", "integers"))
    if column.dtype.kind not in kinds or column.ndim != 1:
        raise _error(path, key, f"got {column.dtype} {list(column.shape)}, allowed are {allowed} in one row; convert")
    if key == "sensor_size" and len(column) != 2:
        raise _error(path, key, f"got {len(column)} values, allowed are 2: height, width")


def _error(path: Path, key: str, message: str) -> NeurokdError:
    return NeurokdError(f"'{path}', key '{key}': {message}")
