"""Between samples and Lava's steps.

Lava has no batch: samples follow one another in one pipeline, and every synapse delays by one step, so that a
population behind a path of k synapses answers the input of step g at step g + k (lava/proc/conv/models.py: last
step's sums are sent first). Where paths of several lengths meet, the longest counts and the others are delayed.
An input that is the first population's bias has no synapse. Zero frames at the end flush the pipeline. Lava orders
axes W, H, C.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from neurokd.export.network import Connection, IntArray, LoihiNetwork
from neurokd.export.network_files.netx import is_chain
from neurokd.export.validate import INPUT

Scalar = TypeVar("Scalar", bound=np.generic)


def lags_of(network: LoihiNetwork) -> dict[str, int]:
    """Steps after which each population answers the input: synapses on the longest path; "input" is 0."""
    lags = {INPUT: 0}
    for population in network.populations:
        incoming = network.incoming(population.name)
        lags[population.name] = max((lags[connection.source] + 1 for connection in incoming), default=0)
    return lags


def delay_of(connection: Connection, lags: dict[str, int]) -> int:
    """Steps that a connection has to be held back, beside its own, to arrive with the longest path to its target.

    >>> skip = Connection("input", "sum", np.array([[2]]))
    >>> delay_of(skip, {"input": 0, "middle": 1, "sum": 2})
    1
    """
    return lags[connection.target] - lags[connection.source] - 1


def frames_of(network: LoihiNetwork, inputs: IntArray) -> npt.NDArray[np.int32]:
    """Lay samples `[T, B, *shape]` (T = 1: static) one behind the other, plus the flush: `[steps, *Lava shape]`."""
    whole = np.broadcast_to(inputs, (network.timesteps, *inputs.shape[1:]))
    samples = np.moveaxis(whole, 0, 1).reshape(-1, *network.input.shape)
    zeros = np.zeros((max(lags_of(network).values()), *network.input.shape), dtype=np.int32)
    row: npt.NDArray[np.int32] = np.concatenate([samples.astype(np.int32), zeros])
    if network.input.kind != "bias" and is_chain(network) and network.connections[0].kind == "dense":
        return row.reshape(len(row), -1)  # netx feeds a first dense layer as it is, and its weights read C, H, W order
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
