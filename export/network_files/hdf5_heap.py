"""Reads one variable-length HDF5 string without the HDF5 library.

The library can loop without end over a damaged global heap, and a loop in C cannot be
interrupted. The layout is that of the HDF5 file format specification, version 3: sections
III.E "Global Heap" and IV.A.2.d, class 9, "Variable-Length".
"""

import struct
from pathlib import Path

import h5py

_REFERENCE = struct.Struct("<IQI")  # length, address of the heap collection, index of the object
_COLLECTION = struct.Struct("<4sB3xQ")  # signature, version, size in bytes
_OBJECT = struct.Struct("<HH4xQ")  # index, reference count, size in bytes; index 0 is the free space at the end
_ALIGNMENT = 8
_SIGNATURE = b"GCOL"


def variable_text(dataset: h5py.Dataset) -> bytes:
    """The bytes of `dataset`, which holds exactly one variable-length string.

    Raises ValueError where the file is laid out otherwise than the HDF5 library writes it.
    """
    offset = dataset.id.get_offset()
    if offset is None or dataset.id.get_storage_size() != _REFERENCE.size or dataset.file.userblock_size:
        raise ValueError("a variable-length string that is not stored as one plain scalar")
    content = Path(dataset.file.filename).read_bytes()
    length, address, wanted = _REFERENCE.unpack_from(_slice(content, offset, _REFERENCE.size))
    signature, version, size = _COLLECTION.unpack_from(_slice(content, address, _COLLECTION.size))
    if signature != _SIGNATURE or version != 1:
        raise ValueError("the heap that holds a string is damaged")
    position, end = address + _COLLECTION.size, min(address + size, len(content))
    while position + _OBJECT.size <= end:
        index, _, object_size = _OBJECT.unpack_from(content, position)
        position += _OBJECT.size
        if index == wanted and index:
            return _slice(content, position, min(length, object_size))
        if index == 0:
            break
        position += -(-object_size // _ALIGNMENT) * _ALIGNMENT
    raise ValueError("the heap does not hold the string that is looked for")


def _slice(content: bytes, start: int, size: int) -> bytes:
    if start + size > len(content):
        raise ValueError("a string lies outside the file")
    return content[start : start + size]
