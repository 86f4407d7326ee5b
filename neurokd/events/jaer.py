"""AEDAT files: version 3.1 of cAER, in which DVS128 Gesture was published, and version 4 of DV."""

from pathlib import Path

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.events.columns import Columns

HEADER = np.dtype(
    [
        ("kind", "<i2"),
        ("source", "<i2"),
        ("size", "<i4"),
        ("time_offset", "<i4"),
        ("overflow", "<i4"),
        ("capacity", "<i4"),
        ("number", "<i4"),
        ("valid", "<i4"),
    ]
)  # of a packet: libcaer/events/common.h
POLARITY = 1  # the kind of packet that holds changes of light
EVENT = np.dtype([("data", "<u4"), ("time", "<u4")])


def from_aedat3(path: Path) -> Columns:
    """Read the polarity events of an AEDAT 3.1 file; those marked invalid, frames and the like are left out.

    An event's word is valid (bit 0), polarity (1), y (2..16), x (17..31); its time has 31 bits, the packet's header
    the rounds before (libcaer/events/polarity.h). Raises NeurokdError for another version and for a packet that is
    cut off.
    """
    content = path.read_bytes()
    at = _data_start(content)
    words, times, count = [], [], 0
    while at < len(content):
        if at + HEADER.itemsize > len(content):
            raise NeurokdError(f"it ends within the header of the packet after event {count}; get the file again")
        header = np.frombuffer(content, HEADER, 1, at)[0]
        at += HEADER.itemsize
        number, size = int(header["number"]), int(header["size"])
        if number < 0 or size < 0 or at + number * size > len(content):
            raise NeurokdError(
                f"the packet after event {count} promises {number} events of {size} bytes, the file has "
                f"{len(content) - at} bytes more; get the file again"
            )
        if header["kind"] == POLARITY:
            if size != EVENT.itemsize:
                raise NeurokdError(f"the packet after event {count} has events of {size} bytes, allowed are 8")
            events = np.frombuffer(content, EVENT, number, at)
            words.append(events["data"])
            times.append((int(header["overflow"]) << 31) + events["time"].astype(np.int64))
            count += number
        at += number * size
    word = np.concatenate(words) if words else np.zeros(0, np.uint32)
    valid = (word & 1).astype(bool)
    time = np.concatenate(times)[valid] if times else np.zeros(0, np.int64)
    word = word[valid]
    return Columns(time, word >> 17, word >> 2 & 0x7FFF, word >> 1 & 1)


def from_aedat4(path: Path) -> Columns:
    """Read the first event stream of an AEDAT 4 file, with the package `aedat`; it knows the sensor."""
    try:
        import aedat
    except ImportError as error:
        raise NeurokdError("AEDAT 4 needs the package aedat; run: pip install 'neurokd[events]'") from error
    decoder = aedat.Decoder(str(path))
    streams = {key: stream for key, stream in decoder.id_to_stream().items() if stream["type"] == "events"}
    if not streams:
        raise NeurokdError("it has no stream of events; choose another file")
    chosen = min(streams)
    packets = [packet["events"] for packet in decoder if packet["stream_id"] == chosen]
    if not packets:
        raise NeurokdError("its stream of events is empty; leave it out")
    events = np.concatenate(packets)
    size = streams[chosen]["height"], streams[chosen]["width"]
    return Columns(events["t"], events["x"], events["y"], events["on"], size)


def _data_start(content: bytes) -> int:
    """Return where the packets begin, behind lines that start with '#'."""
    if not content.startswith(b"#!AER-DAT3.1"):
        first = content[:16].split(b"\r")[0].split(b"\n")[0].decode("latin-1")
        raise NeurokdError(f"it starts with '{first}', allowed is '#!AER-DAT3.1'; convert it to AEDAT 3.1 or 4")
    at = 0
    while content[at : at + 1] == b"#":
        end = content.find(b"\n", at)
        if end < 0:
            raise NeurokdError("it ends within its header; get the file again")
        line, at = content[at:end].rstrip(), end + 1
        if line == b"#!END-HEADER":
            break
    return at
