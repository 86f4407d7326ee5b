"""Read a NIR file that may be damaged or hostile."""

import subprocess
import sys
from pathlib import Path

import h5py
import nir
from nir.serialization import hdf2dict

from neurokd.errors import NeurokdError
from neurokd.export.network_files.hdf5_fields import located
from neurokd.export.nir_graphs.nodes import graph_of_values

READ_LIMIT_S = 60.0
MAX_EXPANSION = 1100  # declared bytes per byte of the file: no more than gzip can reach
MAX_DEPTH = 16
_PROBE = (
    "import sys; from pathlib import Path; from neurokd.export.nir_graphs.io import probe; sys.exit(probe(Path({!r})))"
)


def read_nir(path: Path) -> nir.NIRGraph:
    """Return the graph in the NIR file `path`, types unchecked.

    A child process reads it first: the HDF5 library can loop or crash in C over a damaged file, where
    nothing in this process could stop it. Raises NeurokdError naming the file if it is missing,
    damaged, hostile, or holds no graph.
    """
    if not path.is_file():
        raise NeurokdError(f"'{path}': no such file")
    command = [sys.executable, "-c", _PROBE.format(str(path))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=READ_LIMIT_S, errors="replace")
    except subprocess.TimeoutExpired as error:
        raise NeurokdError(f"'{path}': it cannot be read within {READ_LIMIT_S:g} s; the file is damaged") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise NeurokdError(lines[-1] if done.returncode == 1 and lines else f"'{path}': reading it crashes HDF5")
    return _read(path)


def probe(path: Path) -> int:
    """Read `path` to its end; 0, or 1 with one line on standard error."""
    try:
        with located(f"'{path}'"), h5py.File(path, "r") as file:
            _weigh(file, str(path), path.stat().st_size * MAX_EXPANSION)
        _read(path)
    except NeurokdError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _read(path: Path) -> nir.NIRGraph:
    with located(f"'{path}'"):
        with h5py.File(path, "r") as file:
            values = hdf2dict(file["node"])
        try:
            return graph_of_values(values)
        except NeurokdError as error:
            raise NeurokdError(f"'{path}': {error}") from error


def _weigh(group: h5py.Group, where: str, budget_bytes: int, depth: int = 0) -> int:
    """What is left of `budget_bytes` after everything below `group`, refused before it is allocated."""
    if depth > MAX_DEPTH:
        raise NeurokdError(f"'{where}': groups nested deeper than {MAX_DEPTH}; the file is damaged or hostile")
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise NeurokdError(f"'{where}/{key}': a link to elsewhere, allowed is data inside this file")
        member = group[key]
        if isinstance(member, h5py.Group):
            budget_bytes = _weigh(member, f"{where}/{key}", budget_bytes, depth + 1)
        elif isinstance(member, h5py.Dataset):
            if member.is_virtual or member.external:
                raise NeurokdError(f"'{where}/{key}': its data lie in another file, allowed is data inside this one")
            budget_bytes -= member.size * member.dtype.itemsize if member.shape is not None else 0
        if budget_bytes < 0:
            raise NeurokdError(f"'{where}/{key}': declares more data than the file can hold; it is damaged or hostile")
    return budget_bytes
