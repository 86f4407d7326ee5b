"""Small sets of events, files of other tools, and a cache that belongs to one test."""

import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from neurokd.events.recording import Events
from neurokd.events.sets import EventSet


@pytest.fixture(autouse=True)
def own_cache(cache: Path) -> Path:
    """Keep the caches of tests out of the user's."""
    return cache


@pytest.fixture
def toy() -> EventSet:
    """Five recordings of 40..80 random events on 10 x 12."""
    generator = np.random.default_rng(0)
    recordings = []
    for size in range(40, 90, 10):
        t = np.sort(generator.integers(0, 1000, size))
        x, y, p = (generator.integers(0, top, size) for top in (12, 10, 2))
        recordings.append(Events(t, x, y, p, (10, 12)))
    return EventSet.of(recordings, [0, 1, 2, 0, 1], sample_ids=[7, 3, 11, 2, 5], classes=("ant", "bee", "cat"))


@pytest.fixture
def nmnist() -> Path:
    """The folder of N-MNIST recordings below the data root, or a skip."""
    named = os.environ.get("NEUROKD_DATA")
    if not named or not (Path(named) / "nmnist1100").is_dir():
        pytest.skip("NEUROKD_DATA has no nmnist1100 here")
    return Path(named) / "nmnist1100"


Rows = Sequence[tuple[int, int, int, int]]  # t, x, y, p
Write = Callable[[Path, Rows], None]


@pytest.fixture
def write_atis() -> Write:
    """Write events of 40 bits, as N-MNIST and N-Caltech101 have them."""

    def write(path: Path, rows: Rows) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        packed = (x << 32 | y << 24 | p << 23 | t for t, x, y, p in rows)
        path.write_bytes(b"".join(event.to_bytes(5, "big") for event in packed))

    return write


@pytest.fixture
def write_aedat4() -> Write:
    """Write an AEDAT 4 file with one packet of a 128 x 128 sensor."""

    def write(path: Path, rows: Rows) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        events = b"".join(struct.pack("<qhh?3x", t, x, y, p) for t, x, y, p in rows)
        header = _flatbuffer(b"IOHE", 3, 2, struct.pack("<I", len(STREAMS)) + STREAMS + b"\0", 4)
        packet = _flatbuffer(b"EVTS", 1, 0, struct.pack("<I", len(rows)) + events, 8)
        path.write_bytes(b"#!AER-DAT4.0\r\n" + header + struct.pack("<ii", 0, len(packet)) + packet)

    return write


STREAMS = (
    b'<dv version="2.0"><node name="outInfo" path="/outInfo/"><node name="0" path="/outInfo/0/">'
    b'<attr key="compression" type="string">NONE</attr><attr key="typeIdentifier" type="string">EVTS</attr>'
    b'<node name="info" path="/outInfo/0/info/"><attr key="sizeX" type="int">128</attr>'
    b'<attr key="sizeY" type="int">128</attr></node></node></node></dv>'
)


def _flatbuffer(identifier: bytes, fields: int, used: int, body: bytes, align: int) -> bytes:
    """A table of which one field is set: a vector or string, `body`, whose content starts at a multiple of `align`."""
    vtable = struct.pack(f"<HH{fields}H", 4 + 2 * fields, 8, *(4 if n == used else 0 for n in range(fields)))
    vtable += b"\0" * (-len(vtable) % 4)
    table = 8 + len(vtable)
    start = table + 8
    start += -(4 + start + 4) % align
    content = struct.pack("<I4s", table, identifier) + vtable + struct.pack("<iI", len(vtable), start - table - 4)
    content = content.ljust(start, b"\0") + body
    return struct.pack("<I", len(content)) + content
