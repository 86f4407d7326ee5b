"""The network file: one HDF5 that stock lava-dl netx loads if the network is a chain, and that only we read if not."""

import io
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.limits import require_limits
from neurokd.export.network import InputSpec, LoihiNetwork
from neurokd.export.network_files.extra import GROUP, Extra
from neurokd.export.network_files.graph_file import CONNECTIONS, read_graph, write_graph
from neurokd.export.network_files.hdf5_fields import MAX_EXPANSION, Fields, located
from neurokd.export.network_files.netx import LAYERS, is_chain, read_layers, write_layers
from neurokd.export.validate import validate
from neurokd.files import atomic_file


def write_network(network: LoihiNetwork, path: Path) -> None:
    """Write `network` to `path`, whole or not at all.

    A chain becomes a netx file (`write_layers`), any other network a graph of our own (`write_graph`). In both the
    group `neurokd` holds what netx cannot say (`Extra`): plain Lava loads a chain with soft resets or an initial
    membrane as if it had neither, our readers know.

    Raises NeurokdError, naming the part, for a network that exceeds the chip (`check_limits`), or a chain with a
    layer that netx would change.
    """
    require_limits(network)
    memory = io.BytesIO()  # libhdf5 crashes on a disk that fills up, so it never writes to one
    with h5py.File(memory, "w") as file:
        chain = is_chain(network)
        if chain:
            write_layers(file, network)
        Extra.of(network, chain=chain).write(file)
        if not chain:
            write_graph(file[GROUP], network)
    with atomic_file(Path(path)) as part:
        part.write_bytes(memory.getvalue())


def read_network(path: Path) -> LoihiNetwork:
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
            network = _read_form(root, extra)
        network = network if extra is None else _complete(network, extra, root.where)
    try:
        validate(network)
    except NeurokdError as error:
        raise NeurokdError(f"'{path}': {error}") from error
    return network


def _read_form(root: Fields, extra: Extra | None) -> LoihiNetwork:
    """The network of a netx file or of a graph; a file that claims to be both is neither."""
    if extra is None or not root.child(GROUP).has(CONNECTIONS):
        return read_layers(root, extra.populations if extra else ())
    if root.has(LAYERS):
        raise NeurokdError(f"{root.where}: holds both '{LAYERS}' and '{GROUP}/{CONNECTIONS}'; allowed is one of them")
    return read_graph(root.child(GROUP), extra)


def _complete(network: LoihiNetwork, extra: Extra, where: str) -> LoihiNetwork:
    extra.require_populations(len(network.populations), where)
    if (extra.input_kind == "bias") != (network.input.kind == "bias"):
        raise NeurokdError(f"{where}/{GROUP}: input kind '{extra.input_kind}' contradicts {LAYERS}/0")
    populations = tuple(
        replace(population, reset=neuron.reset, initial=np.array(neuron.initial))
        for population, neuron in zip(network.populations, extra.neurons_in_order(), strict=True)
    )
    return replace(
        network,
        input=InputSpec(
            network.input.shape, extra.input_kind, extra.input_constant, extra.input_maximum, extra.input_shift
        ),
        populations=populations,
        timesteps=extra.timesteps,
        readout=extra.readout,
        logit_scale=extra.logit_scale,
        labels=tuple(extra.labels),
        metadata=extra.metadata,
    )
