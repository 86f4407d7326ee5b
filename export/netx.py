"""The network file: one HDF5 that stock lava-dl netx loads, with what netx cannot say beside it."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.hdf5_fields import MAX_EXPANSION, Fields, located
from neurokd.export.limits import require_limits
from neurokd.export.network import Connection, InputSpec, LoihiNetwork, Population
from neurokd.export.netx_chain import Chain, read_chain
from neurokd.export.netx_dense import survives_netx
from neurokd.export.netx_extra import Extra
from neurokd.export.validate import INPUT, source_shape, validate
from neurokd.files import atomic_file


def write_netx(network: LoihiNetwork, path: Path) -> None:
    """Write `network` to `path`, whole or not at all.

    The group `layer` is what lava-dl 0.6.0 reads (lava/lib/dl/netx/hdf5.py): shapes in C, H, W,
    weights in O, I, H, W, no field that it would ignore. A read-out is a dense layer with a
    neuron that forgets nothing and cannot fire. The group `neurokd` holds the rest (`Extra`).

    Raises NeurokdError, naming the layer, for a network that is no chain, exceeds the chip
    (`check_limits`), or has a dense matrix that netx would change.
    """
    require_limits(network)
    chain = _chain(network)
    memory = io.BytesIO()  # libhdf5 crashes on a disk that fills up, so it never writes to one
    with h5py.File(memory, "w") as file:
        layers = file.create_group("layer")
        _write_layer(layers, "input", network.input.shape)
        if network.input.kind == "bias":
            _write_neuron(layers["0"], network.populations[0])
        for connection in chain:
            population = network.population(connection.target)
            if connection.kind == "dense" and len(source_shape(network, connection.source)) == 3:
                _write_layer(layers, "flatten", (connection.weight.shape[1],))
            _write_connection(_write_layer(layers, connection.kind, population.shape), connection, population)
        Extra.of(network).write(file)
    with atomic_file(Path(path)) as part:
        part.write_bytes(memory.getvalue())


def read_netx(path: Path) -> LoihiNetwork:
    """Read a network file, ours or others', and check every part of it.

    Others' files have no timesteps, labels or read-out: `simulation/tSample` gives the timesteps
    (else 1), and a last dense layer without neuron is the read-out. Weights are those that stock
    netx computes with. No code in the file is ever run.

    Raises NeurokdError, naming file and group, for a file that is damaged, hostile or holds a
    layer that this project cannot run.
    """
    path = Path(path)
    with located(f"'{path}'"):
        size = path.stat().st_size
        with h5py.File(path, "r") as file:
            root = Fields(file, f"'{path}'", size * MAX_EXPANSION)
            extra = Extra.read(root)
            chain = read_chain(root.child("layer"), extra.populations if extra else ())
            network = _network(chain, _timesteps(root))
        network = network if extra is None else _complete(network, extra)
    try:
        validate(network)
    except NeurokdError as error:
        raise NeurokdError(f"'{path}': {error}") from error
    return network


def _chain(network: LoihiNetwork) -> list[Connection]:
    """The connections in order, refused unless each population reads the one before it."""
    chain, before = [], INPUT
    for population in network.populations:
        incoming = network.incoming(population.name)
        if incoming:
            if len(incoming) != 1 or incoming[0].source != before:
                sources = [connection.source for connection in incoming]
                raise NeurokdError(
                    f"population '{population.name}': it reads {sources}, a netx file holds a chain, where it reads "
                    f"['{before}'] alone; export a network without branches"
                )
            _refuse_shapes(network, incoming[0], population)
            chain.append(incoming[0])
        before = population.name
    return chain


def _refuse_shapes(network: LoihiNetwork, connection: Connection, population: Population) -> None:
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


def _complete(network: LoihiNetwork, extra: Extra) -> LoihiNetwork:
    stored = len(extra.populations)
    if stored != len(network.populations):
        raise NeurokdError(f"neurokd/network: {stored} population names for {len(network.populations)} populations")
    if (extra.input_kind == "bias") != (network.input.kind == "bias"):
        raise NeurokdError(f"neurokd/network: input kind '{extra.input_kind}' contradicts layer/0")
    return replace(
        network,
        input=InputSpec(network.input.shape, extra.input_kind, extra.input_constant, extra.input_maximum),
        timesteps=extra.timesteps,
        readout=extra.readout,
        logit_scale=extra.logit_scale,
        labels=tuple(extra.labels),
        metadata=extra.metadata,
    )
