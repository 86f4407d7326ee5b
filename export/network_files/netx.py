"""The layers of a network file as stock lava-dl netx reads and writes them: a chain."""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.network import Connection, LoihiNetwork, Population
from neurokd.export.network_files.hdf5_fields import Fields
from neurokd.export.network_files.netx_chain import Chain, read_chain
from neurokd.export.network_files.netx_dense import survives_netx
from neurokd.export.validate import INPUT, source_shape

LAYERS = "layer"


def is_chain(network: LoihiNetwork) -> bool:
    """Whether each population reads the one before it alone, the only form that netx knows."""
    before = INPUT
    for population in network.populations:
        sources = [connection.source for connection in network.incoming(population.name)]
        if sources != ([] if before == INPUT and network.input.kind == "bias" else [before]):
            return False
        before = population.name
    return True


def write_layers(file: h5py.File, network: LoihiNetwork) -> None:
    """Write the group `layer` of a chain, as lava-dl 0.6.0 reads it (lava/lib/dl/netx/hdf5.py).

    Shapes are in C, H, W, weights in O, I, H, W; there is no field that netx would ignore. A read-out is a dense
    layer with a neuron that forgets nothing and cannot fire.
    Groups beyond those that Lava counts are joined (`Connection.with_few_groups`).
    Raises NeurokdError, naming the layer, for a dense layer that netx would refuse or change.
    """
    layers = file.create_group(LAYERS)
    _write_layer(layers, "input", network.input.shape)
    if network.input.kind == "bias":
        _write_neuron(layers["0"], network.populations[0])
    for connection in network.connections:
        population = network.population(connection.target)
        _refuse_shapes(connection, population)
        if connection.kind == "dense" and len(source_shape(network, connection.source)) == 3:
            _write_layer(layers, "flatten", (connection.weight.shape[1],))
        _write_connection(_write_layer(layers, connection.kind, population.shape), connection, population)


def read_layers(root: Fields, names: Sequence[str]) -> LoihiNetwork:
    """The chain in the group `layer`; `names` are those of its populations, empty in others' files."""
    return _network(read_chain(root.child(LAYERS), names), _timesteps(root))


def _refuse_shapes(connection: Connection, population: Population) -> None:
    if connection.kind == "dense" and len(population.shape) != 1:
        raise NeurokdError(
            f"population '{population.name}': a dense layer of shape {population.shape}, netx allows (N,); flatten it"
        )
    if connection.kind == "dense" and not survives_netx(connection.weight):
        low, high = connection.weight.min(), connection.weight.max()
        raise NeurokdError(
            f"connection '{connection.source}' -> '{connection.target}': netx would change this dense matrix "
            f"(values {low}..{high}); allowed are mixed signs in [-254, 254] or no negative value; "
            "add a weight of the other sign"
        )


def _write_layer(layers: h5py.Group, kind: str, shape: tuple[int, ...]) -> h5py.Group:
    layer = layers.create_group(str(len(layers)))
    layer.create_dataset("type", data=np.array([kind.encode("ascii")], dtype="S10"))
    layer.create_dataset("shape", data=np.array(shape, dtype=np.int64))
    return layer


def _write_connection(layer: h5py.Group, connection: Connection, population: Population) -> None:
    connection = connection.with_few_groups()
    layer.create_dataset("weight", data=connection.weight.astype(np.int16))
    if connection.kind == "conv":
        layer.create_dataset("stride", data=np.array(connection.stride, dtype=np.int64))
        layer.create_dataset("padding", data=np.array(connection.padding, dtype=np.int64))
        layer.create_dataset("dilation", data=np.array(connection.dilation, dtype=np.int64))
        layer.create_dataset("groups", data=np.int64(connection.groups))  # an array of one would crash netx
    if population.bias is not None:
        bias = population.bias.transpose() if population.bias.ndim == 3 else population.bias  # netx: W, H, C
        layer.create_dataset("bias", data=bias.astype(np.int32))
    _write_neuron(layer, population)


def _write_neuron(layer: h5py.Group, population: Population) -> None:
    neuron = layer.create_group("neuron")
    neuron.create_dataset("type", data=np.array([b"CUBA"], dtype="S10"))
    neuron.create_dataset("iDecay", data=np.int64(population.decay_u))
    neuron.create_dataset("vDecay", data=np.int64(population.decay_v))
    neuron.create_dataset("vThMant", data=population.threshold.astype(np.int64))


def _timesteps(root: Fields) -> int:
    if not root.has("simulation"):
        return 1
    simulation = root.child("simulation")
    steps = simulation.integer("tSample") if simulation.has("tSample") else 1
    if not 1 <= steps <= 1 << 20:
        raise NeurokdError(f"{simulation.where}/tSample: {steps} steps, allowed is 1..{1 << 20}")
    return steps


def _network(chain: Chain, timesteps: int) -> LoihiNetwork:
    if chain.input is None or not chain.populations:
        raise NeurokdError("the file holds no neuron layer; allowed is an input layer followed by conv or dense layers")
    metadata: dict[str, Any] = {"input_transform": chain.transform} if chain.transform else {}
    readout = None if chain.has_neuron else chain.populations[-1].name
    return LoihiNetwork(
        chain.input, tuple(chain.populations), tuple(chain.connections), timesteps, readout, metadata=metadata
    )
