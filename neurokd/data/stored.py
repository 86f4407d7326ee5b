"""Images and frames that stay in their file, for sets that are larger than memory."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

Rows: TypeAlias = slice | torch.Tensor


class StoredImages:
    """uint8 images `[N, C, H, W]` or frames `[N, T, C, H, W]` that lie in `path` from byte `offset` on.

    Indexing reads what is asked for and keeps nothing: `[rows]` with a slice or a tensor of row numbers gives a
    tensor of its own. `digest` stands for the whole content. `rows` and `window` (first frame, number of frames)
    make a part of it, without reading.
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
        chosen: Any = rows if isinstance(rows, slice) else rows.numpy()
        if self.rows is not None:
            chosen = self.rows[chosen]
        mapped = np.memmap(self.path, np.uint8, "r", self.offset, self.stored)  # for this call: what is read is let go
        part = mapped if self.frames is None else mapped[:, self.frames[0] : sum(self.frames)]
        return torch.from_numpy(np.array(part[chosen]))

    def subset(self, rows: torch.Tensor) -> "StoredImages":
        """The images at `rows` (`[K]`, int64), in that order."""
        chosen = rows.numpy() if self.rows is None else self.rows[rows.numpy()]
        return StoredImages(self.path, self.offset, self.stored, self.digest, chosen, self.frames)

    def window(self, start: int, count: int) -> "StoredImages":
        """Frames `start` up to `start + count` of every row."""
        first = start + (self.frames[0] if self.frames else 0)
        return StoredImages(self.path, self.offset, self.stored, self.digest, self.rows, (first, count))

    def fingerprint(self) -> Iterable[bytes]:
        """What tells these rows of this content from all others, without reading them; a window does not count."""
        rows = b"all" if self.rows is None else hashlib.sha256(self.rows.astype("<i8").tobytes()).digest()
        return (self.digest.encode(), repr(self.stored).encode(), rows)
