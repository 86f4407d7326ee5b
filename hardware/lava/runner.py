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
from neurokd.export.network_files.network_file import read_network
from neurokd.export.network_files.netx import is_chain
from neurokd.hardware.lava.alignment import frames_of, lags_of, samples_of
from neurokd.hardware.lava.child import LavaFailed, run_child
from neurokd.hardware.lava.environment import LavaMissing, LavaStatus, lava_python
from neurokd.hardware.lava.graph_order import write_graph_order
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

    The file of a chain is loaded by stock netx; any other network is built from Lava's processes, and connections
    that skip populations are delayed by relays. All run on stock fixed-point process models, but for neurons that
    reset softly or start elsewhere than at 0 (`processes/started_lif.py`); `fast` computes convolutions as matrix
    products, with the same integers. `inputs` are integers `[T, B, *input shape]`, or T = 1 for static images.

    Raises LavaMissing without Lava, LavaFailed if it crashes or takes longer than `timeout_s`, NeurokdError if
    the inputs do not fit.
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
            _read_trace(folder / str(i), network, job.inputs, _info(network, lava, fast, total_s))
            for i, (network, job) in enumerate(zip(networks, jobs, strict=True))
        ]


def _checked(job: LavaJob) -> LoihiNetwork:
    """Read the network and hold the inputs against it."""
    network = read_network(job.network_path)
    name, inputs, shape = f"'{job.network_path}'", job.inputs, network.input.shape
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
    starts = [{"initial": p.initial.tolist(), "soft": p.reset == "soft"} for p in network.populations]
    return {
        "folder": str(folder),
        "network": str(job.network_path.absolute()),
        "steps": len(frames),
        "reset_interval": network.timesteps,
        "reset_offset": 0 if network.input.kind == "bias" else 1,  # netx counts the layers from here
        "message_bits": GRADED_BITS if network.input.kind == "graded" else 0,
        "bias_input": network.input.kind == "bias",
        "layers": len(names),
        "readout": None if network.readout is None else names.index(network.readout),
        "graph": None if is_chain(network) else write_graph_order(network, folder / "graph.npz"),
        "starts": starts if _starts_otherwise(network) else None,
        "fast": fast,
    }


def _starts_otherwise(network: LoihiNetwork) -> bool:
    """Whether a population resets or starts as no neuron of Lava does."""
    return any(p.reset == "soft" or p.initial.any() for p in network.populations)


def _read_trace(folder: Path, network: LoihiNetwork, inputs: IntArray, info: dict[str, Any]) -> Trace:
    """Align what the worker left in `folder`."""
    samples, timesteps = inputs.shape[1], network.timesteps
    lags = lags_of(network)
    spikes = {}
    for index, population in enumerate(network.populations):
        record = np.load(folder / f"spikes-{index}.npy", mmap_mode="r")
        spikes[population.name] = samples_of(record, lags[population.name], timesteps, samples, population.shape)
    readout = None
    if network.readout is not None:
        size = (network.population(network.readout).size,)
        record = np.load(folder / "readout.npy", mmap_mode="r") >> FRACTION_BITS
        readout = samples_of(record, lags[network.readout], timesteps, samples, size).astype(np.int64)
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
        info={**info, **seconds, "steps": samples * timesteps + max(lags.values())},
    )


def _info(network: LoihiNetwork, lava: LavaStatus, fast: bool, total_s: float) -> dict[str, Any]:
    return {
        **lava.versions,
        "python": lava.python_version,
        "loaded_by": "stock netx" if is_chain(network) else "neurokd, from Lava processes",
        "process_models": _models(network, fast),
        "process_s": total_s,
    }


def _models(network: LoihiNetwork, fast: bool) -> str:
    ours = ["convolution as matrix product"] * fast + ["neurons with their own start and reset"] * _starts_otherwise(
        network
    )
    return ", ".join(["stock", *ours])
