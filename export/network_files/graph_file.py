"""A network that is no chain, as HDF5 groups of its own: netx has no form for branches that join.

They lie below `neurokd`, never below `layer`: stock netx then finds no layers and fails, where it would skip in
silence what it does not know. Everything is stored as `LoihiNetwork` has it, in C, H, W and O, I, H, W order.
"""

import h5py
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
from neurokd.export.network_files.extra import Extra
from neurokd.export.network_files.hdf5_fields import Fields
from neurokd.export.network_files.hdf5_geometry import read_members, read_pair, read_shape
from neurokd.export.validate import INPUT

POPULATIONS, CONNECTIONS, INPUT_SHAPE = "populations", "connections", "input_shape"
MAX_POPULATIONS, MAX_CONNECTIONS = 1024, 8192


def write_graph(group: h5py.Group, network: LoihiNetwork) -> None:
    """Store the integers of `network` below `group`, the file's `neurokd`, which holds its `Extra` already."""
    group.create_dataset(INPUT_SHAPE, data=np.array(network.input.shape, dtype=np.int64))
    populations = group.create_group(POPULATIONS)
    for index, population in enumerate(network.populations):
        _write_population(populations.create_group(str(index)), population)
    ends = [INPUT, *(population.name for population in network.populations)]
    connections = group.create_group(CONNECTIONS)
    for index, connection in enumerate(network.connections):
        member = connections.create_group(str(index))
        member.create_dataset("source", data=np.int64(ends.index(connection.source)))
        member.create_dataset("target", data=np.int64(ends.index(connection.target)))
        _write_weight(member, connection)


def read_graph(group: Fields, extra: Extra) -> LoihiNetwork:
    """What `write_graph` stored; `extra` names the populations. It is not validated as a whole yet.

    Raises NeurokdError, naming the group, for a part that is missing, malformed or out of range.
    """
    members = read_members(group.child(POPULATIONS), MAX_POPULATIONS)
    extra.require_populations(len(members), group.where)
    populations = map(_read_population, members, extra.populations)
    ends = [INPUT, *extra.populations]
    connections = [_read_connection(member, ends) for member in read_members(group.child(CONNECTIONS), MAX_CONNECTIONS)]
    spec = InputSpec(read_shape(group, INPUT_SHAPE), extra.input_kind)
    return LoihiNetwork(spec, tuple(populations), tuple(connections), extra.timesteps)


def _write_population(group: h5py.Group, population: Population) -> None:
    group.create_dataset("shape", data=np.array(population.shape, dtype=np.int64))
    group.create_dataset("threshold", data=population.threshold.astype(np.int32))
    group.create_dataset("decay_u", data=np.int64(population.decay_u))
    group.create_dataset("decay_v", data=np.int64(population.decay_v))
    if population.bias is not None:
        group.create_dataset("bias", data=population.bias.astype(np.int16))


def _read_population(group: Fields, name: str) -> Population:
    return Population(
        name,
        read_shape(group),
        group.integers("threshold").astype(np.int32),
        group.integer("decay_u"),
        group.integer("decay_v"),
        group.integers("bias").astype(np.int32) if group.has("bias") else None,
    )


def _write_weight(group: h5py.Group, connection: Connection) -> None:
    group.create_dataset("weight", data=connection.weight.astype(np.int16))
    if connection.kind == "conv":
        for key in ("stride", "padding", "dilation"):
            group.create_dataset(key, data=np.array(getattr(connection, key), dtype=np.int64))
        group.create_dataset("groups", data=np.int64(connection.groups))


def _read_connection(group: Fields, ends: list[str]) -> Connection:
    source, target = (_read_end(group, key, ends) for key in ("source", "target"))
    weight = group.integers("weight").astype(np.int32)
    if weight.ndim != 4:
        return Connection(source, target, weight)
    return Connection(
        source,
        target,
        weight,
        stride=read_pair(group, "stride", 1),
        padding=read_pair(group, "padding", 0),
        dilation=read_pair(group, "dilation", 1),
        groups=group.integer("groups"),
    )


def _read_end(group: Fields, key: str, ends: list[str]) -> str:
    """A connection's end, stored as its place among the input (0) and the populations (from 1)."""
    index = group.integer(key)
    if not 0 <= index < len(ends):
        raise NeurokdError(f"{group.where}/{key}: {index}, allowed is 0 (the input) to {len(ends) - 1}")
    return ends[index]
