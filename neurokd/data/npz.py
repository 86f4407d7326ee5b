"""Where an array lies inside an npz file, so that it can be mapped instead of read."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

LOCAL_HEADER = 30  # bytes before a member's name; the last four give the lengths of name and extra field


def stored_at(path: Path, key: str) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
    """Return the first byte, the shape and the type of the array `key`, which must be stored without compression.

    Raises ValueError for a member that holds objects, is compressed or whose header promises another size, KeyError
    for one that is not there, and what `zipfile` raises for a damaged file.
    """
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{key}.npy")
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
            start = stream.tell()
    if dtype.hasobject:
        raise ValueError("it holds pickled objects, which are never loaded")
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if start + size != member.file_size:
        raise ValueError(f"its header promises {size} bytes, the file has {member.file_size - start}")
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError("it is compressed")
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(LOCAL_HEADER)
    start += member.header_offset + LOCAL_HEADER + sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    return start, shape, dtype
