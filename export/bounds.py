"""Proven bounds of synaptic sums, from the weights and the range of the inputs."""

import numpy as np
import numpy.typing as npt

from neurokd.export.network import Connection, LoihiNetwork
from neurokd.export.validate import INPUT, source_shape

Int64Array = npt.NDArray[np.int64]


def channel_maxima(network: LoihiNetwork, source: str) -> Int64Array:
    """Largest magnitude that each channel of `source` can carry, `[C]`.

    A spike is 1; a graded input is at most its `maximum`, its constant plane exactly `constant`.
    """
    channels = source_shape(network, source)[0]
    if source != INPUT or network.input.kind == "spikes":
        return np.ones(channels, dtype=np.int64)
    maxima = np.full(channels, network.input.maximum, dtype=np.int64)
    if network.input.constant:
        maxima[-1] = abs(network.input.constant)
    return maxima


def weighted_sums(connection: Connection, maxima: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Sums of the positive and of the negative weights times `maxima` `[C]`, both as magnitudes `[O]`.

    With inputs in `[0, maxima]` the synaptic sum of output o lies in `[-negative[o], positive[o]]`.
    """
    weight = connection.weight.astype(np.int64)
    if connection.kind == "dense":
        scale = np.repeat(maxima, weight.shape[1] // maxima.size)[np.newaxis]
    else:
        groups = connection.groups
        scale = np.repeat(maxima.reshape(groups, -1), weight.shape[0] // groups, axis=0)[:, :, np.newaxis, np.newaxis]
    products = (weight * scale).reshape(weight.shape[0], -1)
    return products.clip(min=0).sum(axis=1), (-products).clip(min=0).sum(axis=1)
