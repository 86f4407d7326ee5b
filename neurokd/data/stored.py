"""Images and frames that stay in their file, for sets that are larger than memory."""

import hashlib
import math
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from neurokd.errors import NeurokdError

Rows: TypeAlias = slice | torch.Tensor


class StoredImages:
    """uint8 images `[N, C, H, W]` or frames `[N, T, C, H, W]` that lie in `path` from byte `offset` on.

    Indexing reads what is asked for and keeps nothing: `[rows]` with a slice or a tensor of row numbers gives a
    tensor of its own. The file is read, not mapped: what was read of a mapped file counts as memory in use.
    `digest` stands for the whole content. `rows` and `window` (first frame, number of frames) make a part of it,
    without reading.
    """

    dtype = torch.uint8

    def __init__(
        self,
        path: Path,
        offset: int,
        stored: tuple[int, ...],
        digest: str,
        rows: npt.NDArray[np.int64] | None = None,
        window: tuple[int, int] | None = None,
    ) -> None:
        self.path, self.offset, self.stored, self.digest = path, offset, stored, digest
        self.rows, self.frames = rows, window

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what indexing gives, all rows of it."""
        count = self.stored[0] if self.rows is None else len(self.rows)
        return (count, *self.stored[1:]) if self.frames is None else (count, self.frames[1], *self.stored[2:])

    @property
    def ndim(self) -> int:
        """4 for images, 5 for frames."""
        return len(self.stored)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows) -> torch.Tensor:
        numbers = self._numbers(np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows.numpy())
        found = np.empty((len(numbers), *self.shape[1:]), np.uint8)
        size, wanted = math.prod(self.stored[1:]), math.prod(self.shape[1:])
        start = self.offset + (self.frames[0] * math.prod(self.stored[2:]) if self.frames else 0)
        ends = np.flatnonzero(np.diff(numbers) != 1) + 1 if size == wanted else np.arange(1, len(numbers))
        view, first = found.reshape(-1).data, 0
        with self.path.open("rb", buffering=0) as file:
            for end in [*ends.tolist(), len(numbers)] if len(numbers) else []:  # rows that follow each other at once
                self._read(file, start + int(numbers[first]) * size, view[first * wanted : end * wanted])
                first = end
        return torch.from_numpy(found)

    def _numbers(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where `rows` of this part lie among all that are stored."""
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()}..{rows.max()} of {len(self)}")
        return rows if self.rows is None else self.rows[rows]

    def _read(self, file: FileIO, start: int, part: memoryview) -> None:
        """Fill `part` from byte `start` on; a single call reads 2 GiB at most."""
        file.seek(start)
        while part:
            count = file.readinto(part)
            if not count:
                raise NeurokdError(f"'{self.path}': cut short while in use; start again, and it is made anew")
            part = part[count:]

    def subset(self, rows: torch.Tensor) -> "StoredImages":
        """The images at `rows` (`[K]`, int64), in that order."""
        return StoredImages(self.path, self.offset, self.stored, self.digest, self._numbers(rows.numpy()), self.frames)

    def window(self, start: int, count: int) -> "StoredImages":
        """Frames `start` up to `start + count` of every row."""
        first = start + (self.frames[0] if self.frames else 0)
        return StoredImages(self.path, self.offset, self.stored, self.digest, self.rows, (first, count))

    def fingerprint(self) -> Iterable[bytes]:
        """What tells these rows of this content from all others, without reading them; a window does not count."""
        rows = b"all" if self.rows is None else hashlib.sha256(self.rows.astype("<i8").tobytes()).digest()
        return (self.digest.encode(), repr(self.stored).encode(), rows)
