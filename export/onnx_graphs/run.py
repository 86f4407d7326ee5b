"""Runs the ONNX graphs of a network under onnxruntime, on the CPU."""

import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from neurokd.errors import NeurokdError
from neurokd.export.network import IntArray, LoihiNetwork
from neurokd.export.validate import INPUT
from neurokd.hardware.plan import InputRange
from neurokd.hardware.trace import Trace

Arrays = dict[str, npt.NDArray[Any]]


class OnnxFile:
    """A graph of one step or of all, loaded; it uses as many cores as torch does.

    Raises NeurokdError, as `run` does, where onnxruntime cannot load the file.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # errors are raised, there is no need to print them too
        self.path = path
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class of error for every status
            raise self._error("load", error) from error

    @property
    def metadata(self) -> dict[str, str]:
        """What the exporter wrote into the model's `metadata_props`."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name; NeurokdError if the graph does not take these inputs."""
        try:
            values = self._session.run(None, inputs)
        except Exception as error:
            raise self._error("run", error) from error
        return dict(zip((output.name for output in self._session.get_outputs()), values, strict=True))

    @property
    def input(self) -> str:
        """The name of the first input."""
        name: str = self._session.get_inputs()[0].name
        return name

    @property
    def batch(self) -> int | None:
        """How many images the first input takes at once; None where it takes any number."""
        size = self._session.get_inputs()[0].shape[0]
        return size if isinstance(size, int) else None

    @property
    def of_one_step(self) -> bool:
        """Whether the graph has a state that its caller carries."""
        return len(self._session.get_inputs()) > 1

    def _error(self, verb: str, error: Exception) -> NeurokdError:
        reason = str(error).splitlines()[0]
        return NeurokdError(f"file '{self.path}': onnxruntime cannot {verb} it ({reason}); export it again")


def run_onnx(
    file: OnnxFile,
    network: LoihiNetwork,
    images: IntArray,
    *,
    record: Literal["spikes", "counts"] = "spikes",
    state: bool = False,
) -> Trace:
    """Run `file`, which was made from `network`, on images `[B, *shape]` or frames `[B, T, *shape]`.

    They are as the user has them, without the constant plane. `record` and `state` are those of `simulate`; u and v
    come from the graph of one step alone. Returns a `Trace` with backend "onnx", or "onnx step" for that graph. It
    has the populations whose spikes the file gives, and does not know how often v was clipped.
    Raises NeurokdError for values that the input's type cannot hold, or where onnxruntime refuses.
    """
    started = time.perf_counter()
    frames = network.input.encode(images)
    if frames.shape[2:] != network.input.shape or len(frames) not in (1, network.timesteps):
        raise NeurokdError(
            f"inputs: shape {images.shape}, needed is (B, *shape) or (B, {network.timesteps}, *shape) that makes the "
            f"network's {network.input.shape}"
        )
    span = InputRange.of(frames, network.input.kind)
    nonzero = np.count_nonzero(frames, axis=1).astype(np.int64)
    counts = {INPUT: np.broadcast_to(nonzero, (network.timesteps, *network.input.shape))}
    kept: dict[str, list[npt.NDArray[Any]]] = {}
    size = batch_size(network)
    for start in range(0, len(images), size):
        for name, values in _outputs(file, network, images[start : start + size], state).items():
            what, _, population = name.partition("/")
            if what == "spikes":
                counts[population] = counts.get(population, 0) + values.sum(axis=1, dtype=np.int64)
            if what != "spikes" or record == "spikes":
                kept.setdefault(name, []).append(values)
    whole = {name: np.concatenate(parts, axis=1) for name, parts in kept.items()}
    return Trace(
        backend="onnx step" if file.of_one_step else "onnx",
        timesteps=network.timesteps,
        samples=len(images),
        counts=counts,
        spikes=_of_populations(whole, "spikes/"),
        readout=whole.get("readout"),
        u=_of_populations(whole, "next_u/"),
        v=_of_populations(whole, "next_v/"),
        wall_s=time.perf_counter() - started,
        info={"static_input": len(frames) == 1, "input_range": [span.low, span.high]},
    )


def batch_size(network: LoihiNetwork) -> int:
    """Samples computed at once: the largest layer then has 2^24 values at most, 128 MiB of integers."""
    largest = max(population.size for population in network.populations)
    return max(1, min(128, (1 << 24) // largest))


def _of_populations(outputs: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): values for name, values in outputs.items() if name.startswith(prefix)}


def _outputs(file: OnnxFile, network: LoihiNetwork, images: IntArray, state: bool) -> Arrays:
    """The outputs `[T, B, ...]` of one batch; u and v only where `state` asks for them."""
    frames = _typed(network, images)
    if not file.of_one_step:
        return file.run({INPUT: frames})
    static = frames.ndim == 1 + len(network.input.shape)
    now: Arrays = {}
    for p in network.populations:
        now[f"u/{p.name}"] = np.zeros((len(images), *p.shape), dtype=np.int64)
        initial = p.initial.reshape(-1, *[1] * (len(p.shape) - 1))
        now[f"v/{p.name}"] = now[f"u/{p.name}"] + initial
    steps: list[Arrays] = []
    for t in range(network.timesteps):
        after = file.run({INPUT: frames if static else frames[t], **now})
        now = {name: after[f"next_{name}"] for name in now}
        steps.append({name: values for name, values in after.items() if state or not name.startswith("next_")})
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def _typed(network: LoihiNetwork, images: IntArray) -> npt.NDArray[Any]:
    """Images `[B, *shape]`, or frames `[T, B, *shape]`, in the type that the graph takes."""
    dtype = np.dtype(np.int32 if network.input.kind == "bias" else np.uint8)
    if images.size and not np.array_equal(images, images.astype(dtype)):
        raise NeurokdError(
            f"inputs: values of {images.min()}..{images.max()}, an ONNX graph takes {dtype} here; count or scale less"
        )
    time_first = images if images.ndim == 1 + len(network.input.shape) else images.swapaxes(0, 1)
    return np.ascontiguousarray(time_first, dtype=dtype)
