"""Is a `LoihiNetwork` one coherent network: names, order, shapes and integer types?

This is about structure alone and holds for anybody's network; what a chip can hold is in `limits.py`.
"""

import math

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.network import MAX_DECAY, MAX_STATE, Connection, LoihiNetwork, Population

INPUT = "input"  # the name under which connections refer to the network's input


def source_shape(network: LoihiNetwork, name: str) -> tuple[int, ...]:
    """The shape that a connection from `name` (a population or "input") reads."""
    return network.input.shape if name == INPUT else network.population(name).shape


def conv_output_shape(connection: Connection, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Output `(C, H, W)` of a convolution over an input `(C, H, W)`, as `torch.nn.functional.conv2d` defines it."""
    height, width = (
        (shape[1 + axis] + 2 * connection.padding[axis] - connection.dilation[axis] * (kernel - 1) - 1)
        // connection.stride[axis]
        + 1
        for axis, kernel in enumerate(connection.weight.shape[2:])
    )
    return connection.weight.shape[0], height, width


def validate(network: LoihiNetwork) -> None:
    """Raise one `NeurokdError` that names the first part of `network` that contradicts the rest.

    Names are unique; connections run from "input" or an earlier population to a later one; every
    weight, threshold and bias is an integer array of a shape that fits its neighbours.
    """
    _validate_input(network)
    names = [population.name for population in network.populations]
    if len(set(names)) != len(names) or INPUT in names:
        raise NeurokdError(f"network: population names {names}: allowed are unique names other than '{INPUT}'")
    if network.timesteps < 1:
        raise NeurokdError(f"network: timesteps is {network.timesteps}, allowed is 1 or more")
    if network.readout is not None and network.readout not in names:
        raise NeurokdError(f"network: readout '{network.readout}' is not a population; there are {names}")
    for population in network.populations:
        _validate_population(population)
    order = {name: index for index, name in enumerate([INPUT, *names])}
    for connection in network.connections:
        _validate_connection(network, connection, order)
    _validate_driven(network)


def _validate_input(network: LoihiNetwork) -> None:
    shape, kind = network.input.shape, network.input.kind
    if not network.populations:
        raise NeurokdError("network: it has no population; at least one is needed")
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise NeurokdError(f"network: input shape {shape}, allowed are (C, H, W) and (N,) of positive sizes")
    if kind not in ("spikes", "graded", "bias"):
        raise NeurokdError(f"network: input kind {kind!r}, allowed are 'spikes', 'graded' and 'bias'")
    shift = network.input.shift
    if not 0 <= shift <= 7 or (shift and kind != "graded"):
        raise NeurokdError(f"network: input of kind '{kind}' with shift {shift}, allowed is 0, of graded inputs 0..7")
    first = network.populations[0]
    if kind == "bias" and (first.shape != shape or first.bias is not None or network.incoming(first.name)):
        raise NeurokdError(
            f"population '{first.name}': an input of kind 'bias' is its bias, so it needs the input's shape {shape} "
            f"(got {first.shape}), no bias of its own and no incoming connection"
        )


def _validate_population(population: Population) -> None:
    where, shape = f"population '{population.name}'", population.shape
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise NeurokdError(f"{where}: shape {shape}, allowed are (C, H, W) and (N,) of positive sizes")
    for field, decay in (("decay_u", population.decay_u), ("decay_v", population.decay_v)):
        if not 0 <= decay <= MAX_DECAY:
            raise NeurokdError(f"{where}: {field} is {decay}, allowed is 0..{MAX_DECAY}")
    threshold, bias = np.asarray(population.threshold), population.bias
    if threshold.dtype.kind not in "iu" or threshold.shape not in ((), (shape[0],)):
        raise NeurokdError(
            f"{where}: threshold is {threshold.dtype} of shape {threshold.shape}, allowed are integers, "
            f"one or one per channel ({shape[0]},)"
        )
    if bias is not None and (bias.dtype.kind not in "iu" or bias.shape not in ((shape[0],), shape)):
        raise NeurokdError(
            f"{where}: bias is {bias.dtype} of shape {bias.shape}, allowed are integers, "
            f"one per channel ({shape[0]},) or one per neuron {shape}"
        )
    _validate_reset(population, where)


def _validate_reset(population: Population, where: str) -> None:
    if population.reset not in ("hard", "soft"):
        raise NeurokdError(f"{where}: reset {population.reset!r}, allowed are 'hard' and 'soft'")
    least = int(population.threshold.min())
    if population.reset == "soft" and least < 1:
        raise NeurokdError(f"{where}: threshold reaches {least}, a soft reset subtracts it: allowed is 1 or more")
    initial = np.asarray(population.initial)
    if initial.dtype.kind not in "iu" or initial.shape not in ((), population.shape[:1]):
        raise NeurokdError(
            f"{where}: initial is {initial.dtype} of shape {initial.shape}, allowed are integers, "
            f"one or one per channel {population.shape[:1]}"
        )
    low, high = int(initial.min()), int(initial.max())
    if low < -MAX_STATE or high > MAX_STATE:
        raise NeurokdError(f"{where}: initial reaches {low}..{high}, v saturates at +-{MAX_STATE}; start inside")


def _validate_connection(network: LoihiNetwork, connection: Connection, order: dict[str, int]) -> None:
    where = f"connection '{connection.source}' -> '{connection.target}'"
    if connection.source not in order or connection.target not in order:
        raise NeurokdError(f"{where}: unknown end; there are {list(order)}")
    if connection.source == INPUT and network.input.kind == "bias":
        raise NeurokdError(
            f"{where}: an input of kind 'bias' is the bias of '{network.populations[0].name}' alone; connect from there"
        )
    if order[connection.source] >= order[connection.target]:
        raise NeurokdError(f"{where}: it runs backwards; order the populations so that every source comes first")
    weight = connection.weight
    if weight.dtype.kind not in "iu" or weight.ndim not in (2, 4) or weight.size == 0:
        raise NeurokdError(
            f"{where}: weight is {weight.dtype} of shape {weight.shape}, allowed are non-empty integers "
            "[O, I / groups, kH, kW] or [O, I]"
        )
    source, target = source_shape(network, connection.source), network.population(connection.target).shape
    if connection.kind == "dense":
        allowed = (math.prod(target), math.prod(source))
        if weight.shape != allowed:
            raise NeurokdError(f"{where}: dense weight has shape {weight.shape}, {source} -> {target} needs {allowed}")
        return
    _validate_geometry(connection, where)
    channels = weight.shape[1] * connection.groups
    if len(source) != 3 or source[0] != channels or weight.shape[0] % connection.groups:
        raise NeurokdError(
            f"{where}: convolution of weight {weight.shape} in {connection.groups} groups cannot read {source}; "
            f"it needs {channels} channels (C, H, W)"
        )
    if conv_output_shape(connection, source) != target:
        got = conv_output_shape(connection, source)
        raise NeurokdError(f"{where}: the convolution gives {got}, the target population has shape {target}")


def _validate_geometry(connection: Connection, where: str) -> None:
    geometry = {"stride": connection.stride, "dilation": connection.dilation, "groups": (connection.groups,)}
    for field, values in geometry.items():
        if min(values) < 1:
            raise NeurokdError(f"{where}: {field} is {values}, allowed is 1 or more")
    if min(connection.padding) < 0:
        raise NeurokdError(f"{where}: padding is {connection.padding}, allowed is 0 or more")


def _validate_driven(network: LoihiNetwork) -> None:
    driven = {connection.target for connection in network.connections}
    for index, population in enumerate(network.populations):
        if population.name not in driven and not (index == 0 and network.input.kind == "bias"):
            raise NeurokdError(f"population '{population.name}': nothing drives it; add a connection into it")
