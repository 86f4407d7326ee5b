"""Between samples and Lava's steps.

Lava has no batch: samples follow one another in one pipeline, and every synapse delays by one step, so that
layer k (from 0) answers the input of step g at step g + k + 1 (lava/proc/conv/models.py: last step's sums are
sent first). An input that is the first layer's bias has no synapse: layer k answers at step g + k. Zero frames
at the end flush the pipeline. Lava orders axes W, H, C.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from neurokd.errors import NeurokdError
from neurokd.export.network import IntArray, LoihiNetwork

Scalar = TypeVar("Scalar", bound=np.generic)


def first_lag(network: LoihiNetwork) -> int:
    """Steps after which the first layer answers; also netx's `reset_offset`, which clears each layer in time."""
    return 0 if network.input.kind == "bias" else 1


def frames_of(network: LoihiNetwork, inputs: IntArray) -> npt.NDArray[np.int32]:
    """Lay samples `[T, B, *shape]` (T = 1: static) one behind the other, plus the flush: `[steps, *Lava shape]`."""
    whole = np.broadcast_to(inputs, (network.timesteps, *inputs.shape[1:]))
    samples = np.moveaxis(whole, 0, 1).reshape(-1, *network.input.shape)
    flush = len(network.populations) - 1 + first_lag(network)
    zeros = np.zeros((flush, *network.input.shape), dtype=np.int32)
    row: npt.NDArray[np.int32] = np.concatenate([samples.astype(np.int32), zeros])
    connections = network.connections
    if network.input.kind != "bias" and connections[0].kind == "dense":
        return row.reshape(len(row), -1)  # dense weights read C, H, W order
    return np.ascontiguousarray(reverse_axes(row))


def samples_of(
    record: npt.NDArray[Scalar], lag: int, timesteps: int, samples: int, shape: tuple[int, ...]
) -> npt.NDArray[Scalar]:
    """Cut a record `[steps, *Lava shape]` of a layer with this lag into `[T, B, *shape]`."""
    cut = record[lag : lag + samples * timesteps]
    ordered = reverse_axes(cut).reshape(samples, timesteps, *shape)
    return np.array(np.moveaxis(ordered, 1, 0))  # a copy: the record is a file that will go


def reverse_axes(frames: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """C, H, W to W, H, C or back, behind the first axis.

    >>> reverse_axes(np.zeros((5, 1, 2, 3))).shape
    (5, 3, 2, 1)
    """
    reversed_frames: npt.NDArray[Scalar] = frames.transpose(0, *range(frames.ndim - 1, 0, -1))
    return reversed_frames


def check_chain(network: LoihiNetwork, name: str) -> None:
    """Raise NeurokdError unless every population is driven by the one before it alone: netx knows no other form."""
    before = "input"
    for population in network.populations:
        sources = [connection.source for connection in network.incoming(population.name)]
        allowed = [] if before == "input" and network.input.kind == "bias" else [before]
        if sources != allowed:
            raise NeurokdError(
                f"{name}: population '{population.name}' is driven by {sources}, Lava's netx reader can only build "
                f"{allowed}; run this network on the integer simulator"
            )
        before = population.name
