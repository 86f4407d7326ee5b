"""The layers of a netx file, one small reader per layer type, as lava-dl 0.6.0 understands them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.network import MAX_DECAY, Connection, InputSpec, IntArray, Population
from neurokd.export.network_files.hdf5_fields import Fields
from neurokd.export.network_files.hdf5_geometry import read_members, read_pair, read_shape
from neurokd.export.network_files.netx_dense import netx_dense_weight
from neurokd.export.validate import INPUT, conv_output_shape

MAX_LAYERS = 1024
UNREACHABLE_THRESHOLD = 131072  # what netx gives a dense layer without neuron: v saturates below it
_NEURONS = ("CUBA", "LOIHI")
_UNREAD = ("delay", "weight_rec", "neuron/messageBits", "neuron/gradedSpike")  # netx drops or breaks on these


@dataclass
class Chain:
    """What has been read so far; `names` are those of our own files, empty for others'."""

    names: Sequence[str] = ()
    input: InputSpec | None = None
    shape: tuple[int, ...] = ()
    source: str = INPUT
    flattened: bool = False
    populations: list[Population] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    transform: dict[str, int] = field(default_factory=dict)
    has_neuron: bool = False

    def next_name(self, default: str) -> str:
        """The stored name of the next population, else `default`."""
        index = len(self.populations)
        return self.names[index] if index < len(self.names) else default

    def add(self, population: Population, has_neuron: bool) -> None:
        """Append `population`; the next layer reads from it."""
        self.populations.append(population)
        self.shape, self.source, self.has_neuron, self.flattened = population.shape, population.name, has_neuron, False


def read_chain(layers: Fields, names: Sequence[str] = ()) -> Chain:
    """Read the groups "0".."n-1" under `layers` in order.

    Raises NeurokdError, naming the group, for everything that netx would refuse, skip in silence
    or compute differently from what the file says.
    """
    chain = Chain(names)
    for index, layer in enumerate(read_members(layers, MAX_LAYERS)):
        kind = layer.text("type")
        if kind not in LAYERS:
            raise NeurokdError(f"{layer.where}: layer type '{kind[:40]}', allowed are {sorted(LAYERS)}")
        for key in _UNREAD:
            if layer.has(key) and layer.integers(key).any():
                raise NeurokdError(f"{layer.where}/{key}: netx does not run this; write the layer without it")
        LAYERS[kind](layer, chain, f"{kind}{index}")
    return chain


def _input(layer: Fields, chain: Chain, name: str) -> None:
    if chain.input is not None or chain.populations:
        raise NeurokdError(f"{layer.where}: an input layer, allowed is one, as the first layer")
    shape = read_shape(layer)
    chain.shape, chain.input = shape, InputSpec(shape)
    if layer.has("neuron"):
        chain.input = InputSpec(shape, kind="bias")
        chain.transform = {key: layer.integer(key) for key in ("weight", "bias") if layer.has(key)}
        chain.add(_population(layer, chain.next_name(name), shape, None), True)


def _flatten(layer: Fields, chain: Chain, name: str) -> None:
    del layer, name
    chain.flattened = True


def _conv(layer: Fields, chain: Chain, name: str) -> None:
    weight = layer.integers("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4 or weight.size == 0 or chain.flattened or len(chain.shape) != 3:
        raise NeurokdError(
            f"{layer.where}: convolution weight {weight.shape} over an input of shape {chain.shape}, allowed is "
            "[O, I / groups, kH, kW] over (C, H, W)"
        )
    connection = Connection(
        chain.source,
        chain.next_name(name),
        weight.astype(np.int32),
        stride=read_pair(layer, "stride", 1),
        padding=read_pair(layer, "padding", 0),
        dilation=read_pair(layer, "dilation", 1),
        groups=layer.integer("groups"),
    )
    shape = conv_output_shape(connection, chain.shape)
    if read_shape(layer) != shape:
        raise NeurokdError(f"{layer.where}/shape: it says {read_shape(layer)}, the convolution gives {shape}")
    if not layer.has("neuron"):
        raise NeurokdError(f"{layer.where}/neuron: it is missing, netx needs it for a convolution")
    chain.connections.append(connection)
    chain.add(_population(layer, connection.target, shape, _bias(layer, shape)), True)


def _dense(layer: Fields, chain: Chain, name: str) -> None:
    outputs, weight = math.prod(read_shape(layer)), layer.integers("weight")
    if weight.ndim == 1 and weight.size % outputs == 0:
        weight = weight.reshape(outputs, -1)
    if weight.ndim != 2 or weight.size == 0 or weight.shape[0] != outputs:
        raise NeurokdError(f"{layer.where}/weight: shape {weight.shape}, allowed is ({outputs}, inputs)")
    if chain.input is None:
        chain.input = InputSpec((weight.shape[1],))
        chain.shape = chain.input.shape
    if len(chain.shape) == 3 and not chain.flattened and chain.populations:
        raise NeurokdError(f"{layer.where}: it reads {chain.shape} without a flatten layer, netx needs one before it")
    if math.prod(chain.shape) != weight.shape[1]:
        raise NeurokdError(
            f"{layer.where}/weight: it reads {weight.shape[1]} values, the layer before has {chain.shape}"
        )
    target = chain.next_name(name)
    chain.connections.append(Connection(chain.source, target, _effective(layer, weight)))
    shape = (outputs,)
    chain.add(_population(layer, target, shape, _bias(layer, shape)), layer.has("neuron"))


LAYERS: dict[str, Callable[[Fields, Chain, str], None]] = {
    "input": _input,
    "conv": _conv,
    "dense": _dense,
    "flatten": _flatten,
}


def _effective(layer: Fields, weight: IntArray) -> IntArray:
    """The weights that stock netx and Lava really use."""
    if not weight.any():
        raise NeurokdError(f"{layer.where}/weight: all values are 0, which netx cannot load")
    matrix, shift = netx_dense_weight(weight)
    if shift < 0 or (matrix % (1 << shift)).any():
        raise NeurokdError(f"{layer.where}/weight: netx turns it into other values ({weight.min()}..{weight.max()})")
    return (matrix >> shift).astype(np.int32)


def _population(layer: Fields, name: str, shape: tuple[int, ...], bias: IntArray | None) -> Population:
    if not layer.has("neuron"):
        return Population(name, shape, np.array(UNREACHABLE_THRESHOLD), decay_u=0, decay_v=MAX_DECAY, bias=bias)
    neuron = layer.child("neuron")
    kind = neuron.text("type")
    if kind not in _NEURONS:
        raise NeurokdError(f"{neuron.where}/type: neuron '{kind[:40]}', allowed are {_NEURONS}")
    threshold = neuron.integers("vThMant")
    if threshold.size == 1:
        threshold = threshold.reshape(())
    if threshold.shape not in ((), shape[:1]):
        raise NeurokdError(f"{neuron.where}/vThMant: shape {threshold.shape}, allowed is one or one per channel")
    return Population(name, shape, threshold, neuron.integer("iDecay"), neuron.integer("vDecay"), bias)


def _bias(layer: Fields, shape: tuple[int, ...]) -> IntArray | None:
    """Bias `[C]`, or `shape` where the file has one value per neuron (stored as W, H, C)."""
    if not layer.has("bias"):
        return None
    bias = layer.integers("bias")
    if bias.size == 1:
        return np.full(shape[0], bias.flat[0], dtype=np.int32)
    if bias.shape == shape[:1]:
        return bias.astype(np.int32)
    if bias.ndim == 3 and bias.shape == shape[::-1]:
        return np.ascontiguousarray(bias.transpose(2, 1, 0), dtype=np.int32)
    raise NeurokdError(f"{layer.where}/bias: shape {bias.shape}, allowed is {shape[:1]} or, in W, H, C, {shape[::-1]}")
