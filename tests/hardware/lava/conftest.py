"""Fake interpreters and random networks for the tests of the Lava room."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neurokd.export.network import Connection, InputSpec, IntArray, LoihiNetwork, Population

from ...networks import within_24_bits

FakePython = Callable[..., Path]
LAVA = '["3.10.9", {"lava-nc": "0.10.0", "lava-dl": "0.6.0"}]'
DECAYS = (0, 1, 200, 1024, 2048, 4095, 4096)
SUM_LIMIT = (1 << 17) - 1


@pytest.fixture
def fake_python(tmp_path: Path) -> FakePython:
    """Return a function that writes an executable which answers as a Python of that version would.

    `lava`: it has Lava. `worker`: shell commands that run in place of the worker. `other`: commands for all else.
    """

    def write(path: Path, version: str = "", lava: bool = False, worker: str = "exit 1", other: str = "exit 1") -> Path:
        versions = f"echo '{LAVA}'" if lava else "echo no lava >&2; exit 1"
        probe = f"echo '\"{version}\"'" if version else "echo no such version >&2; exit 127"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "#!/bin/sh\n"
            'case "$*" in\n'
            f"  *worker.py*) {worker} ;;\n"
            f"  *ensurepip*) {probe} ;;\n"
            f"  *importlib.metadata*) {versions} ;;\n"
            f"  *) {other} ;;\n"
            "esac\n"
        )
        path.chmod(0o755)
        return path

    return write


def random_case(seed: int) -> tuple[LoihiNetwork, IntArray]:
    """A small chain with everything asymmetric, so that no wrong axis or offset can pass, and inputs for it."""
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(["spikes", "graded", "bias"]))
    flat = rng.random() < 0.2
    shape: tuple[int, ...] = (int(rng.integers(3, 9)),) if flat else (2 * int(rng.integers(1, 3)), *_plane(rng))
    spec = InputSpec(shape, kind=kind)  # type: ignore[arg-type]
    populations: list[Population] = []
    connections: list[Connection] = []
    largest = 255 if kind == "graded" else 1
    source = "input"
    if kind == "bias":
        populations.append(_population(rng, "p0", shape, 100, biased=False))
        source = "p0"
    for index in range(0 if flat else int(rng.integers(0, 3))):
        connection, shape = _convolution(rng, source, f"conv{index}", shape, largest)
        source, largest = _grow(rng, populations, connections, connection, shape, largest), 1
    for index in range(int(rng.integers(0, 3))):
        connection = _dense(rng, source, f"dense{index}", shape, largest)
        shape = connection.weight.shape[:1]
        source, largest = _grow(rng, populations, connections, connection, shape, largest), 1
    readout = None
    if rng.random() < 0.7 or not connections:
        connection = _dense(rng, source, "readout", shape, largest)
        size = connection.weight.shape[:1]
        bias = rng.integers(-90, 91, size) if rng.random() < 0.5 else None
        populations.append(Population("readout", size, np.array(131071), decay_u=4096, decay_v=0, bias=bias))
        connections.append(connection)
        readout = "readout"
    timesteps, samples = int(rng.integers(1, 7)), int(rng.integers(1, 4))
    network = within_24_bits(LoihiNetwork(spec, tuple(populations), tuple(connections), timesteps, readout))
    return network, _inputs(rng, network, samples)


def _plane(rng: np.random.Generator) -> tuple[int, int]:
    height = int(rng.integers(4, 8))
    return height, height + int(rng.integers(1, 3))


def _grow(
    rng: np.random.Generator,
    populations: list[Population],
    connections: list[Connection],
    connection: Connection,
    shape: tuple[int, ...],
    largest: int,
) -> str:
    drive = int(np.abs(connection.weight).reshape(len(connection.weight), -1).sum(1).mean()) * largest
    connections.append(connection)
    populations.append(_population(rng, connection.target, shape, max(2, drive // 3)))
    return connection.target


def _population(
    rng: np.random.Generator, name: str, shape: tuple[int, ...], scale: int, biased: bool = True
) -> Population:
    per_channel = rng.random() < 0.3
    threshold = rng.integers(1, scale + 1, shape[:1] if per_channel else ())
    bias = None
    if biased and rng.random() < 0.6:
        bias = rng.integers(-min(scale // 2, 4095), min(scale, 4095) + 1, shape if rng.random() < 0.2 else shape[:1])
    decay_u, decay_v = (int(decay) for decay in rng.choice(DECAYS, 2))
    return Population(name, shape, np.minimum(threshold, 131071), decay_u, decay_v, bias)


def _weight(rng: np.random.Generator, size: tuple[int, ...], largest: int) -> IntArray:
    """Even integers; non-negative in some layers; their sums stay inside the 24 bits of u."""
    limit = max(1, min(127, SUM_LIMIT // (2 * largest * int(np.prod(size[1:])))))
    low = 0 if rng.random() < 0.25 else -limit
    weight = 2 * rng.integers(low, limit + 1, size)
    weight.flat[0] = 2  # never all zero, never all negative: netx alters such matrices
    return weight


def _convolution(
    rng: np.random.Generator, source: str, target: str, shape: tuple[int, ...], largest: int
) -> tuple[Connection, tuple[int, ...]]:
    groups = int(rng.choice([1, 2]))
    outputs = groups * int(rng.integers(1, 4))
    kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    stride = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
    padding = (int(rng.integers(0, 3)), int(rng.integers(0, 2)))
    dilation = tuple(
        int(rng.integers(1, 3)) if size[0] >= 2 * size[1] else 1 for size in zip(shape[1:], kernel, strict=True)
    )
    out = tuple((shape[1 + i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(2))
    if min(out) < 1 or shape[0] % groups:
        return _convolution(rng, source, target, shape, largest)
    weight = _weight(rng, (outputs, shape[0] // groups, *kernel), largest)
    return Connection(source, target, weight, stride, padding, (dilation[0], dilation[1]), groups), (outputs, *out)


def _dense(rng: np.random.Generator, source: str, target: str, shape: tuple[int, ...], largest: int) -> Connection:
    return Connection(source, target, _weight(rng, (int(rng.integers(2, 9)), int(np.prod(shape))), largest))


def _inputs(rng: np.random.Generator, network: LoihiNetwork, samples: int) -> IntArray:
    size = (network.timesteps if rng.random() < 0.6 else 1, samples, *network.input.shape)
    if network.input.kind == "bias":
        return rng.integers(-100, 200, size)
    if network.input.kind == "spikes":
        return rng.integers(0, 4, size) // 2  # 0 or 1
    return rng.integers(0, 256, size)


@pytest.fixture
def case() -> Callable[[int], tuple[LoihiNetwork, IntArray]]:
    """Return the maker of random networks and inputs."""
    return random_case
