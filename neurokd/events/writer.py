"""Write an event set recording by recording, in bounded memory."""

import tempfile
import zipfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.events.recording import Array, Events, sensor_size
from neurokd.files import atomic_file

BLOCK = 2**20  # events that are copied at a time


class EventWriter:
    """A file for `read_events` that grows by one recording at a time and appears whole when the block ends well.

    Memory does not grow with the file. Until the end the events lie in a hidden folder beside `path`, 11 bytes each on
    a sensor of up to 256 pixels; nothing of it stays behind. `sensor` is (height, width), `classes` may be empty.

    >>> blink = Events(t=[0, 10], x=[1, 1], y=[0, 0], p=[1, 0], sensor=(2, 2))
    >>> with EventWriter(Path(tempfile.mkdtemp()) / "blinks.npz", sensor=(2, 2)) as writer:
    ...     writer.add(blink, label=0)
    >>> len(writer)
    1
    """

    def __init__(self, path: Path, sensor: tuple[int, int], classes: tuple[str, ...] = ()) -> None:
        self.path, self.sensor, self.classes = path, sensor_size(sensor), classes
        self.labels: list[int] = []
        self.sample_ids: list[int] = []
        self.groups: list[int] = []
        self.offsets = [0]
        self._times = (0, 0)  # the lowest and the highest so far
        self._open = ExitStack()

    def __enter__(self) -> "EventWriter":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f".{self.path.name}.", suffix=".parts")
        self._folder = Path(self._open.enter_context(folder))
        self._columns: dict[str, IO[bytes]] = {
            key: self._open.enter_context((self._folder / key).open("wb")) for key in "txyp"
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if kind is None:
                self._finish()

    def __len__(self) -> int:
        return len(self.labels)

    def add(self, events: Events, label: int, sample_id: int | None = None, group: int | None = None) -> None:
        """Append one recording; `sample_id` is its place in the file and `group` its `sample_id` unless given.

        Raises NeurokdError for another sensor and for a label that is negative or has no class.
        """
        number = len(self)
        if events.sensor != self.sensor:
            raise self._error(f"recording {number} has sensor {events.sensor}, allowed is {self.sensor}")
        if label < 0 or (self.classes and label >= len(self.classes)):
            allowed = f"0..{len(self.classes) - 1}" if self.classes else "0 and more"
            raise self._error(f"recording {number} has label {label}, allowed is {allowed}")
        for key, column in self._columns.items():
            column.write(np.ascontiguousarray(getattr(events, key), self._type(key)).tobytes())
        self._times = min(self._times[0], int(events.t[0])), max(self._times[1], int(events.t[-1]))
        self.labels.append(label)
        self.sample_ids.append(number if sample_id is None else sample_id)
        self.groups.append(self.sample_ids[-1] if group is None else group)
        self.offsets.append(self.offsets[-1] + len(events))

    def _type(self, key: str) -> type[np.generic]:
        """What a column is kept as; times become uint32 in the end, where they fit."""
        small = {"x": self.sensor[1] <= 256, "y": self.sensor[0] <= 256, "p": True}
        return np.int64 if key == "t" else np.uint8 if small[key] else np.uint16

    def _finish(self) -> None:
        if not len(self):
            raise self._error("there is no recording; add at least one")
        short = self._times[0] >= 0 and self._times[1] < 2**32
        rows: dict[str, Any] = {
            "offsets": np.array(self.offsets, np.int64),
            "labels": np.array(self.labels, np.int64),
            "sample_id": np.array(self.sample_ids, np.int64),
            "group": np.array(self.groups, np.int64),
            "sensor_size": np.array(self.sensor, np.int32),
        }
        if self.classes:
            rows["class_names"] = np.array(self.classes)
        with atomic_file(self.path) as part, zipfile.ZipFile(part, "w") as archive:
            for key, column in self._columns.items():
                column.close()
                spool = np.memmap(self._folder / key, self._type(key), "r")
                _store(archive, key, spool, np.uint32 if key == "t" and short else self._type(key))
                (self._folder / key).unlink()
            for key, row in rows.items():
                _store(archive, key, row, row.dtype)

    def _error(self, message: str) -> NeurokdError:
        return NeurokdError(f"events '{self.path}': {message}")


def _store(archive: zipfile.ZipFile, key: str, column: Array, kind: Any) -> None:
    """Write a column without compression, so that it can be mapped, block by block as `kind`."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(kind)), "fortran_order": False, "shape": column.shape}
    with archive.open(f"{key}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, len(column), BLOCK):
            stream.write(column[start : start + BLOCK].astype(kind).tobytes())
