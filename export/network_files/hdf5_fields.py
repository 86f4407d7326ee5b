"""Reads fields of an HDF5 file that may be damaged or hostile: checked before anything is allocated."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import h5py
import numpy as np
import numpy.typing as npt

from neurokd.errors import NeurokdError
from neurokd.export.network_files.hdf5_heap import variable_text

MAX_EXPANSION = 16  # declared bytes per byte of the file; honest network files are hardly compressed
MAX_INTEGER = (1 << 31) - 1
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}
_FAILURES = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)


@contextmanager
def located(where: str) -> Iterator[None]:
    """Turn whatever goes wrong inside into one `NeurokdError` that starts with `where`."""
    try:
        yield
    except NeurokdError:
        raise
    except _FAILURES as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NeurokdError(f"{where}: it cannot be read ({detail}); the file is damaged, write it again") from error


@dataclass(frozen=True)
class Fields:
    """One HDF5 group, `where` it is for messages, and how many bytes a dataset in it may declare."""

    group: h5py.Group
    where: str
    budget_bytes: int

    def has(self, key: str) -> bool:
        """Whether there is a member `key`."""
        with located(f"{self.where}/{key}"):
            return key in self.group

    def child(self, key: str) -> "Fields":
        """The sub-group `key`."""
        where = f"{self.where}/{key}"
        with located(where):
            self._refuse_links(key, where)
            member = self.group[key]
            if not isinstance(member, h5py.Group):
                raise NeurokdError(f"{where}: it is not a group; the file is damaged, write it again")
            return Fields(member, where, self.budget_bytes)

    def integers(self, key: str) -> npt.NDArray[np.int64]:
        """The dataset `key` as integers, floats truncated toward zero as netx does."""
        where = f"{self.where}/{key}"
        with located(where):
            dataset = self._dataset(key, where)
            if dataset.dtype.kind not in "iufb":
                raise NeurokdError(f"{where}: its type is {dataset.dtype}, allowed are numbers")
            values = np.asarray(dataset[()])
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise NeurokdError(f"{where}: it holds NaN or infinity, allowed are finite numbers")
            if values.size and max(float(values.max()), -float(values.min())) > MAX_INTEGER:
                raise NeurokdError(f"{where}: values exceed 32 bits, allowed is -{MAX_INTEGER}..{MAX_INTEGER}")
            return values.astype(np.int64)

    def integer(self, key: str) -> int:
        """The dataset `key` as one integer: a scalar, or an array whose values are all equal."""
        values = self.integers(key)
        if values.size == 0 or values.min() != values.max():
            raise NeurokdError(f"{self.where}/{key}: {values.size} values that differ, allowed is a single number")
        return int(values.flat[0])

    def text(self, key: str) -> str:
        """The dataset `key` as a string: a scalar, or an array with one element."""
        where = f"{self.where}/{key}"
        with located(where):
            dataset = self._dataset(key, where)
            variable = h5py.check_string_dtype(dataset.dtype) is not None and dataset.dtype.kind == "O"
            if not (variable or dataset.dtype.kind == "S") or dataset.size != 1:
                raise NeurokdError(f"{where}: {dataset.dtype} of shape {dataset.shape}, allowed is one string")
            value = variable_text(dataset) if variable else bytes(np.asarray(dataset[()]).flat[0])
            return value.decode("utf-8")

    def _dataset(self, key: str, where: str) -> h5py.Dataset:
        self._refuse_links(key, where)
        dataset = self.group[key]
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
            raise NeurokdError(f"{where}: it is not a dataset; the file is damaged, write it again")
        if dataset.is_virtual or dataset.external:
            raise NeurokdError(f"{where}: its data lie in another file, allowed is data inside this one")
        filters = dataset.id.get_create_plist()
        used = {filters.get_filter(index)[0] for index in range(filters.get_nfilters())}
        if not used <= _FILTERS:
            raise NeurokdError(f"{where}: unknown compression {sorted(used - _FILTERS)}; store it plain or with gzip")
        for declared in (dataset.shape, dataset.chunks or ()):
            declared_bytes = math.prod(declared) * dataset.dtype.itemsize
            if declared_bytes > self.budget_bytes:
                raise NeurokdError(
                    f"{where}: it declares {declared_bytes} bytes {declared}, the file justifies at most "
                    f"{self.budget_bytes}; the file is damaged or hostile"
                )
        return dataset

    def _refuse_links(self, key: str, where: str) -> None:
        link = self.group.get(key, getlink=True)
        if link is None:
            raise NeurokdError(f"{where}: it is missing; there are {sorted(self.group)[:20]}")
        if not isinstance(link, h5py.HardLink):
            raise NeurokdError(f"{where}: it is a link to elsewhere, allowed is data inside this file")
