"""The batched integer simulator: the specification of what an exported network computes."""

import functools
import operator
import time
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch

from neurokd.errors import NeurokdError
from neurokd.export.network import FRACTION_BITS, IntArray, LoihiNetwork, Population
from neurokd.export.validate import INPUT, validate
from neurokd.hardware.lif import LifResult, run_lif
from neurokd.hardware.plan import InputRange, Step, plan
from neurokd.hardware.recorder import Recorder
from neurokd.hardware.trace import Trace

CACHED_VALUES = 1 << 21  # values of the largest layer that are computed at once


def simulate(
    network: LoihiNetwork,
    inputs: IntArray,
    *,
    record: Literal["spikes", "counts"] = "spikes",
    state: bool = False,
    pipelined: bool = False,
    batch_size: int = 256,
) -> Trace:
    """Run `network` on `inputs`, each sample anew, exactly as Lava's fixed-point CPU models do.

    The equations are those of `Population` (lava/proc/lif/models.py, `PyLifModelBitAcc`).

    Args:
        network: populations are evaluated in their order; all connections into one are summed.
        inputs: integers `[T, B, *network.input.shape]`. T is `network.timesteps`, or 1: then the
            same image comes at every step. `InputSpec.kind` says how values are read.
        record: "spikes" keeps every spike `[T, B, *shape]`; "counts" keeps only their sum over
            the samples, so that memory does not grow with B.
        state: also keep u and v of every population after every step.
        pipelined: the chip's own timing: every connection delivers one step later, biases
            integrate from step 0 on. Step t of the trace is then a step of the chip, not of a sample. There
            are no relays: the branches of a graph arrive as early as they can.
        batch_size: samples computed at once, at most; it changes speed and memory, never a result.

    Returns a `Trace` with backend "integer"; its `info` has "pipelined", "static_input" (T was 1)
    and "input_range" (smallest and largest input), which `measure_activity` reads.
    Raises NeurokdError if the network is incoherent or `inputs` has another shape or type.

    >>> from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
    >>> neuron = Population("out", (1,), threshold=np.array(9))
    >>> synapse = Connection("input", "out", weight=np.array([[6]]))
    >>> net = LoihiNetwork(InputSpec((1,)), (neuron,), (synapse,), timesteps=4)
    >>> simulate(net, np.ones((1, 1, 1), dtype=np.int64)).spikes["out"].ravel()  # v: 6, 9, 10 > 9, 6
    array([0, 0, 1, 0], dtype=uint8)
    """
    validate(network)
    _check_inputs(network, inputs, batch_size)
    started = time.perf_counter()
    span = InputRange.of(inputs, network.input.kind)
    steps = plan(network, span, bias_may_ride=not (state or pipelined))
    recorder = Recorder(network, inputs.shape[1], spikes=record == "spikes", state=state)
    size = min(batch_size, _cache_sized_batch(network))
    with torch.inference_mode():
        for start in range(0, inputs.shape[1], size):
            batch = inputs[:, start : start + size]
            recorder.add_inputs(batch)
            for population, result in _run_batch(network, steps, batch, pipelined, state):
                recorder.add(population, result, start)
    info = {"pipelined": pipelined, "static_input": inputs.shape[0] == 1, "input_range": [span.low, span.high]}
    return recorder.trace("integer", time.perf_counter() - started, info)


def _check_inputs(network: LoihiNetwork, inputs: IntArray, batch_size: int) -> None:
    shape, steps = network.input.shape, network.timesteps
    if inputs.dtype.kind not in "iub":
        raise NeurokdError(f"inputs: dtype {inputs.dtype}, allowed are integers; round or quantise them first")
    if inputs.ndim != 2 + len(shape) or inputs.shape[2:] != shape or inputs.shape[1] < 1:
        raise NeurokdError(f"inputs: shape {inputs.shape}, needed is [T, B, {', '.join(map(str, shape))}] with B >= 1")
    if inputs.shape[0] not in (1, steps):
        raise NeurokdError(
            f"inputs: {inputs.shape[0]} steps, allowed are 1 (a static image) or the network's {steps}; "
            "dataclasses.replace(network, timesteps=...) changes the network's"
        )
    if batch_size < 1:
        raise NeurokdError(f"batch_size is {batch_size}, allowed is 1 or more")


def _cache_sized_batch(network: LoihiNetwork) -> int:
    """Samples whose largest layer over all steps stays in a processor's cache; measured to be the fastest."""
    largest = max(population.size for population in network.populations)
    return max(1, CACHED_VALUES // (largest * network.timesteps))


def _run_batch(
    network: LoihiNetwork, steps: tuple[Step, ...], inputs: IntArray, pipelined: bool, state: bool
) -> Iterator[tuple[Population, LifResult]]:
    """Run every population over all steps of `inputs` `[T or 1, B, *shape]`, each one once."""
    signals = {} if network.input.kind == "bias" else {INPUT: _as_signal(inputs, network.input.kind)}
    last_reader = {name: index for index, step in enumerate(steps) for name in step.source_names}
    for index, (step, population) in enumerate(zip(steps, network.populations, strict=True)):
        drive = _drive(step, signals)
        if drive is not None and pipelined:
            drive = _one_step_later(drive, network.timesteps)
        bias = step.bias
        if drive is None:
            bias = _as_signal(inputs, network.input.kind) * (1 << FRACTION_BITS)
        keep_v = state or population.name == network.readout
        result = run_lif(step.bounds, drive, bias, keep_u=state, keep_v=keep_v)
        signals[population.name] = result.spikes
        yield population, result
        signals = {name: signal for name, signal in signals.items() if last_reader.get(name, -1) > index}


def _as_signal(inputs: IntArray, kind: str) -> torch.Tensor:
    values = inputs != 0 if kind == "spikes" else inputs
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))


def _drive(step: Step, signals: dict[str, torch.Tensor]) -> torch.Tensor | None:
    """The synaptic sums `a << 6` `[T or 1, B, *shape]`; a static image is multiplied once."""
    terms = []
    for name, product in zip(step.source_names, step.products, strict=True):
        summed = product(signals[name].flatten(0, 1))
        terms.append(summed.view(*signals[name].shape[:2], *summed.shape[1:]))
    return functools.reduce(operator.add, terms) if terms else None


def _one_step_later(drive: torch.Tensor, timesteps: int) -> torch.Tensor:
    whole = drive.expand(timesteps, *drive.shape[1:])
    return torch.cat([torch.zeros_like(whole[:1]), whole[:-1]])
