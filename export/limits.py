"""What the chip can hold: widths of weights, biases and thresholds, and the proven reach of synaptic sums."""

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.bounds import channel_maxima, weighted_sums
from neurokd.export.network import (
    CURRENT_LIMIT,
    MAX_BIAS,
    MAX_DECAY,
    MAX_GEOMETRY,
    MAX_THRESHOLD,
    MAX_WEIGHT,
    Connection,
    LoihiNetwork,
    Population,
)
from neurokd.export.validate import validate


def check_limits(network: LoihiNetwork) -> list[str]:
    """Return one sentence for everything in `network` that exceeds Loihi 2; an empty list is good.

    Weights are even in [-254, 254], |bias| <= 4095, 1 <= threshold <= 131071, decays 0..4096, kernels, strides,
    paddings and dilations at most 127, and
    no input can drive a current to 2^17, where u would wrap (lava/proc/lif/models.py): the synaptic sum,
    or the geometric series of sums that a `decay_u` below 4096 adds up.
    A graded input reaches the network's `input.maximum`; spikes count as 1. Inputs are taken as non-negative.

    Raises NeurokdError if the network is not coherent at all (`validate`).
    """
    validate(network)
    found: list[str] = []
    for connection in network.connections:
        found += _weight_limits(connection)
    for population in network.populations:
        found += _population_limits(population)
        found += _current_limit(network, population)
    return found


def require_limits(network: LoihiNetwork) -> None:
    """Raise one `NeurokdError` with everything that `check_limits` finds."""
    found = check_limits(network)
    if found:
        raise NeurokdError("; ".join(found))


def _weight_limits(connection: Connection) -> list[str]:
    where = f"connection '{connection.source}' -> '{connection.target}'"
    low, high = int(connection.weight.min()), int(connection.weight.max())
    found = []
    if low < -MAX_WEIGHT or high > MAX_WEIGHT:
        found.append(f"{where}: weights reach {low}..{high}, allowed is -{MAX_WEIGHT}..{MAX_WEIGHT}; scale them down")
    sizes = (*connection.weight.shape[2:], *connection.stride, *connection.padding, *connection.dilation)
    if max(sizes) > MAX_GEOMETRY:
        what = "kernel, stride, padding or dilation"
        found.append(f"{where}: {what} of {max(sizes)}, allowed is {MAX_GEOMETRY}; use a smaller one")
    odd = int(np.count_nonzero(connection.weight % 2))
    if odd:
        found.append(f"{where}: {odd} of {connection.weight.size} weights are odd, allowed are even; round to even")
    return found


def _population_limits(population: Population) -> list[str]:
    where, found = f"population '{population.name}'", []
    low, high = int(population.threshold.min()), int(population.threshold.max())
    if low < 1 or high > MAX_THRESHOLD:
        found.append(
            f"{where}: thresholds reach {low}..{high}, allowed is 1..{MAX_THRESHOLD}; scale weights and threshold alike"
        )
    bias = 0 if population.bias is None else int(np.abs(population.bias.astype(np.int64)).max())
    if bias > MAX_BIAS:
        found.append(
            f"{where}: |bias| reaches {bias}, allowed is {MAX_BIAS}; scale weights, bias and threshold down together"
        )
    for name, decay in (("decay_u", population.decay_u), ("decay_v", population.decay_v)):
        if not 0 <= decay <= MAX_DECAY:
            found.append(f"{where}: {name} is {decay}, allowed is 0..{MAX_DECAY}")
    return found


def _current_limit(network: LoihiNetwork, population: Population) -> list[str]:
    channels = population.shape[0]
    reach = np.zeros((2, channels), dtype=np.int64)
    for connection in network.incoming(population.name):
        sums = weighted_sums(connection, channel_maxima(network, connection.source))
        reach += np.stack([side.reshape(channels, -1).max(axis=1) for side in sums])
    steps = min(network.timesteps, MAX_DECAY / population.decay_u) if population.decay_u else network.timesteps
    worst = int(reach.max() * steps)
    if worst < CURRENT_LIMIT:
        return []
    channel = int(reach.max(axis=0).argmax())
    summed = "the synaptic sum" if population.decay_u == MAX_DECAY else "the current, summed over the steps,"
    return [
        f"population '{population.name}': {summed} can reach {worst} (channel {channel}), allowed is less than "
        f"{CURRENT_LIMIT}; scale its weights, bias and threshold down together"
    ]
