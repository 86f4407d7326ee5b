"""Builds a network of Lava processes from the worker's order: a chain by stock netx, any other from single ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[Any]
BIAS_SHIFT = 6  # as in netx: current, bias and threshold have one unit


@dataclass(frozen=True)
class Network:
    """What is recorded and run: the neuron processes in order, the ports of their spikes, and one process of all."""

    neurons: "list[Any]"
    outputs: "list[Any]"
    root: Any


def chain_of(job: "dict[str, Any]", frames: Frames) -> Network:
    """Load a netx file with stock netx and play `frames` into its first synapse."""
    from lava.lib.dl.netx.hdf5 import Network as Chain

    chain = Chain(
        net_config=job["network"],
        input_message_bits=job["message_bits"],
        reset_interval=job["reset_interval"],
        reset_offset=job["reset_offset"],
    )
    if not job["bias_input"]:
        _source(frames, 0).connect(chain.inp)
    return Network([layer.neuron for layer in chain.layers], [layer.out for layer in chain.layers], chain)


def graph_of(job: "dict[str, Any]", frames: Frames) -> Network:
    """Build the graph that `write_graph_order` described.

    A connection that is held back reads from relays, neurons that repeat what they receive one step later; one from
    the input reads frames that come later.
    """
    from lava.proc.lif.process import LIFReset

    with np.load(Path(job["folder"]) / "graph.npz") as stored:
        arrays = dict(stored)
    populations = job["graph"]["populations"]
    neurons = [
        LIFReset(
            shape=tuple(population["shape"]),
            vth=arrays[f"threshold-{index}"],
            du=population["decay_u"] - 1,  # Lava adds one
            dv=population["decay_v"],
            bias_mant=arrays[f"bias-{index}"],
            bias_exp=BIAS_SHIFT,
            reset_interval=job["reset_interval"],
            reset_offset=population["lag"] + 1,  # Lava counts steps from 1
        )
        for index, population in enumerate(populations)
    ]
    ports = {(index, 0): neuron.s_out for index, neuron in enumerate(neurons)}
    for index, connection in enumerate(job["graph"]["connections"]):
        port = _delayed(ports, frames, connection["source"], connection["delay"])
        bits = job["message_bits"] if connection["source"] < 0 else 0
        _connect(port, neurons[connection["target"]].a_in, connection, arrays[f"weight-{index}"], bits)
    return Network(neurons, [neuron.s_out for neuron in neurons], neurons[0])


def _source(frames: Frames, delay: int) -> Any:
    """The port that plays `frames`, `delay` steps late; Lava's source wants time last."""
    from lava.proc.io.source import RingBuffer

    late = np.concatenate([np.zeros_like(frames[:delay]), frames[: len(frames) - delay]])
    return RingBuffer(data=np.ascontiguousarray(np.moveaxis(late, 0, -1))).s_out


def _delayed(ports: "dict[tuple[int, int], Any]", frames: Frames, source: int, delay: int) -> Any:
    """The spikes of `source` (-1: the input) `delay` steps late, from one relay per step that all readers share."""
    if (source, delay) not in ports:
        if source < 0:
            ports[source, delay] = _source(frames, delay)
        else:
            ports[source, delay] = _relay(_delayed(ports, frames, source, delay - 1))
    return ports[source, delay]


def _relay(port: Any) -> Any:
    """Neurons without memory behind a synapse each, in one row: a step later they spike as `port` did."""
    from lava.proc.conv.process import Conv
    from lava.proc.lif.process import LIF

    row = (int(np.prod(port.shape)), 1, 1)
    synapses = Conv(weight=np.full((1, 1, 1, 1), 2), input_shape=row)
    neurons = LIF(shape=row, vth=1, du=4095, dv=4096, bias_exp=BIAS_SHIFT)
    port.reshape(row).connect(synapses.s_in)
    synapses.a_out.connect(neurons.a_in)
    return neurons.s_out.reshape(port.shape)


def _connect(source: Any, target: Any, connection: "dict[str, Any]", weight: Frames, bits: int) -> None:
    """Put the synapses `weight` between two ports; a dense matrix reads and gives C, H, W order."""
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import Dense

    if weight.ndim == 4:
        geometry = {key: tuple(connection[key]) for key in ("stride", "padding", "dilation")}
        synapses = Conv(
            weight=weight, input_shape=source.shape, groups=connection["groups"], num_message_bits=bits, **geometry
        )
        source.connect(synapses.s_in)
        synapses.a_out.connect(target)
        return
    synapses = Dense(weights=weight, num_message_bits=bits)
    (source.transpose([2, 1, 0]).flatten() if len(source.shape) == 3 else source).connect(synapses.s_in)
    sums = synapses.a_out
    (sums.reshape(target.shape[::-1]).transpose([2, 1, 0]) if len(target.shape) == 3 else sums).connect(target)
