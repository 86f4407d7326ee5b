"""Run exported networks on Lava's CPU simulation, in a process of their own."""

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.network import FRACTION_BITS, IntArray, LoihiNetwork
from neurokd.export.netx import read_netx
from neurokd.hardware.lava.alignment import check_chain, first_lag, frames_of, samples_of
from neurokd.hardware.lava.child import LavaFailed, run_child
from neurokd.hardware.lava.environment import LavaMissing, LavaStatus, lava_python
from neurokd.hardware.trace import Trace

__all__ = ["LavaFailed", "LavaJob", "LavaMissing", "run_lava", "run_lava_many"]

WORKER = Path(__file__).with_name("worker.py")
GRADED_BITS = 8  # any number above 0 makes the first layer multiply by the input's value
INT32 = np.iinfo(np.int32)
# one thread per process, as Lava forks two or more per layer; no window system
CHILD_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "Agg"}


@dataclass(frozen=True, eq=False)
class LavaJob:
    """A network file and the inputs `[T, B, *input shape]` (T = 1: static) to run it on."""

    network_path: Path
    inputs: IntArray


def run_lava(network_path: Path, inputs: IntArray, *, timeout_s: float = 600.0, fast: bool = False) -> Trace:
    """Run the network file on Lava and return its `Trace` (backend "lava"), sample by sample from rest.

    The file is loaded by stock netx and runs on stock fixed-point process models; `fast` computes convolutions
    as matrix products instead, with the same integers. `inputs` are integers `[T, B, *input shape]`, or T = 1 for
    static images.

    Raises LavaMissing without Lava, LavaFailed if it crashes or takes longer than `timeout_s`, NeurokdError if
    the inputs do not fit or the network is not a chain.
    """
    return run_lava_many([LavaJob(network_path, inputs)], timeout_s=timeout_s, fast=fast)[0]


def run_lava_many(jobs: Sequence[LavaJob], *, timeout_s: float = 600.0, fast: bool = False) -> list[Trace]:
    """Run several networks in one Lava process, which saves its start of seconds; see `run_lava`."""
    networks = [_checked(job) for job in jobs]
    lava = lava_python()
    with tempfile.TemporaryDirectory(prefix="nkd-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        orders = [
            _write_order(folder / str(i), network, job, fast)
            for i, (network, job) in enumerate(zip(networks, jobs, strict=True))
        ]
        (folder / "jobs.json").write_text(json.dumps(orders), encoding="utf-8")
        command = [str(lava.python), "-I", str(WORKER), str(folder / "jobs.json")]
        started = time.perf_counter()
        run_child(command, folder / "worker.log", timeout_s, {**CHILD_ENVIRONMENT, "TMPDIR": name})
        total_s = time.perf_counter() - started
        return [
            _read_trace(folder / str(i), network, job.inputs, _info(lava, fast, total_s))
            for i, (network, job) in enumerate(zip(networks, jobs, strict=True))
        ]


def _checked(job: LavaJob) -> LoihiNetwork:
    """Read the network and hold the inputs against it."""
    network = read_netx(job.network_path)
    name, inputs, shape = f"'{job.network_path}'", job.inputs, network.input.shape
    check_chain(network, name)
    if inputs.dtype.kind not in "iub":
        raise NeurokdError(f"{name}: inputs are {inputs.dtype}, Lava takes integers; round or quantise them first")
    if inputs.ndim != 2 + len(shape) or inputs.shape[2:] != shape or inputs.shape[1] < 1:
        raise NeurokdError(f"{name}: inputs have shape {inputs.shape}, needed is [T, B, *{shape}] with B >= 1")
    if inputs.shape[0] not in (1, network.timesteps):
        raise NeurokdError(
            f"{name}: inputs have {inputs.shape[0]} steps, allowed are 1 (static) or the network's {network.timesteps}"
        )
    if int(inputs.min()) < INT32.min or int(inputs.max()) > INT32.max:
        raise NeurokdError(f"{name}: inputs reach {inputs.min()}..{inputs.max()}, Lava takes 32-bit integers")
    return network


def _write_order(folder: Path, network: LoihiNetwork, job: LavaJob, fast: bool) -> dict[str, Any]:
    """Put the frames where the worker finds them; return its order, as worker.py describes it."""
    folder.mkdir()
    frames = frames_of(network, job.inputs)
    np.save(folder / "frames.npy", frames)
    names = [population.name for population in network.populations]
    return {
        "folder": str(folder),
        "network": str(job.network_path.absolute()),
        "steps": len(frames),
        "reset_interval": network.timesteps,
        "reset_offset": first_lag(network),
        "message_bits": GRADED_BITS if network.input.kind == "graded" else 0,
        "bias_input": network.input.kind == "bias",
        "layers": len(names),
        "readout": None if network.readout is None else names.index(network.readout),
        "fast": fast,
    }


def _read_trace(folder: Path, network: LoihiNetwork, inputs: IntArray, info: dict[str, Any]) -> Trace:
    """Align what the worker left in `folder`."""
    samples, timesteps = inputs.shape[1], network.timesteps
    lag = first_lag(network)
    spikes = {}
    for index, population in enumerate(network.populations):
        record = np.load(folder / f"spikes-{index}.npy", mmap_mode="r")
        spikes[population.name] = samples_of(record, lag + index, timesteps, samples, population.shape)
    readout = None
    if network.readout is not None:
        index = [population.name for population in network.populations].index(network.readout)
        size = (network.populations[index].size,)
        record = np.load(folder / "readout.npy", mmap_mode="r") >> FRACTION_BITS
        readout = samples_of(record, lag + index, timesteps, samples, size).astype(np.int64)
    presented = np.broadcast_to(inputs, (timesteps, *inputs.shape[1:]))
    seconds = json.loads((folder / "done.json").read_text(encoding="utf-8"))
    return Trace(
        backend="lava",
        timesteps=timesteps,
        samples=samples,
        counts={
            "input": np.count_nonzero(presented, axis=1),
            **{name: spike.sum(axis=1, dtype=np.int64) for name, spike in spikes.items()},
        },
        spikes=spikes,
        readout=readout,
        wall_s=sum(seconds.values()),
        info={**info, **seconds, "steps": samples * timesteps + lag + len(network.populations) - 1},
    )


def _info(lava: LavaStatus, fast: bool, total_s: float) -> dict[str, Any]:
    models = "stock, convolution as matrix product" if fast else "stock"
    return {**lava.versions, "python": lava.python_version, "process_models": models, "process_s": total_s}
