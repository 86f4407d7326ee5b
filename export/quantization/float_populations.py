"""The populations of a NIR graph as quantisation wants them: neurons with all synapses, gains multiplied in."""

from dataclasses import dataclass
from typing import Any, Literal

import nir
import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.network import MAX_DECAY
from neurokd.export.nir_graphs.euler import FloatArray, Integrator, Spiking
from neurokd.export.nir_graphs.wiring import Wiring, listing, read_by, wiring_of
from neurokd.export.quantization.float_neurons import FloatNeurons, float_neurons
from neurokd.export.validate import INPUT
from neurokd.inputs import PIXELS, SPIKES, Encoding

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class FloatSynapse:
    """The weights of layer `name` from `source`, a population or "input", as currents per input as it will come.

    An input is an integer 0..`input_max`, a spike 0 or 1. `weight` is `[O, I / groups, kH, kW]` with the (H, W)
    geometry of `torch.nn.functional.conv2d`, or `[O, I]`; `source_shape` is what it reads, `(C, H, W)` or `(N,)`.
    """

    name: str
    source: str
    source_shape: tuple[int, ...]
    input_max: int
    weight: FloatArray
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def geometry(self) -> dict[str, Any]:
        """The settings of a convolution."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}


@dataclass(frozen=True, eq=False)
class FloatPopulation:
    """One population to be: the sum over `synapses` is its current, `bias` `[O]` is added to its membrane.

    `threshold` is one value (0-d) or one per channel, `[C]`, and None for the read-out, which never spikes.
    `initial` is the membrane before the first step as a fraction of the threshold.
    """

    name: str
    shape: tuple[int, ...]
    synapses: tuple[FloatSynapse, ...]
    bias: FloatArray
    threshold: FloatArray | None
    decay_u: int
    decay_v: int
    reset: Literal["hard", "soft"] = "hard"
    initial: float = 0.0


def float_populations(graph: nir.NIRGraph, dt: float, encoding: Encoding = PIXELS) -> list[FloatPopulation]:
    """Pair the neurons of a graph with every layer of weights that they sum up, in an order in which they run.

    The last is the read-out, weights before the output, alone or with an integrator. `encoding` says which integers
    stand for the input of the graph, `dt` is the step in seconds. Raises NeurokdError naming a layer that does not
    fit this pattern or the neurons of the chip.
    """
    wiring = wiring_of(graph)
    found = []
    for name in wiring.order:
        node = graph.nodes[name]
        if isinstance(node, Spiking | Integrator):
            found.append(_population(graph, wiring, name, float_neurons(name, node, dt), encoding))
        elif isinstance(node, nir.Output):
            if not _ends_in_integrator(graph, wiring, name):
                found.append(_population(graph, wiring, name, None, encoding))
        elif isinstance(node, nir.Conv2d | nir.Affine):
            _signal(graph, wiring, name)
        elif not isinstance(node, nir.Input | nir.Flatten):
            raise NeurokdError(f"layer '{name}': {type(node).__name__} cannot be quantised for loihi2")
    return found


def _ends_in_integrator(graph: nir.NIRGraph, wiring: Wiring, output: str) -> bool:
    before = read_by(graph, wiring, output)
    spiking = [path for path in before if isinstance(graph.nodes[path], Spiking)]
    if spiking:
        raise NeurokdError(f"layer '{spiking[0]}': neurons at the end; let the model end in nn.Linear, the read-out")
    return len(before) == 1 and isinstance(graph.nodes[before[0]], Integrator)


def _population(
    graph: nir.NIRGraph, wiring: Wiring, reader: str, neurons: FloatNeurons | None, encoding: Encoding
) -> FloatPopulation:
    """The neurons `reader` or, without any, the read-out, which is called as the weights before it."""
    paths = read_by(graph, wiring, reader)
    name, neurons = (paths[0], FloatNeurons()) if neurons is None else (reader, neurons)
    layers = [_weights(graph, path, reader, neurons) for path in paths]
    if not any(weight.any() for weight, _ in layers):
        raise NeurokdError(f"layer '{paths[0]}': all weights are zero; nothing would ever reach the next layer")
    shapes = [_ints(graph.nodes[path].output_type["output"]) for path in paths]
    if len(set(shapes)) > 1:
        listed = " and ".join(f"'{path}' {shape}" for path, shape in zip(paths, shapes, strict=True))
        raise NeurokdError(f"layer '{name}': sums {listed}; give all of them one shape")
    synapses = tuple(
        _synapse(graph, wiring, path, weight, encoding) for path, (weight, _) in zip(paths, layers, strict=True)
    )
    bias = np.sum([bias for _, bias in layers], axis=0)
    return FloatPopulation(
        name, shapes[0], synapses, bias, neurons.threshold, neurons.decay_u, neurons.decay_v, neurons.reset,
        neurons.initial,
    )  # fmt: skip


def _weights(graph: nir.NIRGraph, path: str, reader: str, neurons: FloatNeurons) -> tuple[FloatArray, FloatArray]:
    """Weight and bias of the layer `path`, which drives the neurons `reader`, times their gain."""
    node = graph.nodes[path]
    if not isinstance(node, nir.Conv2d | nir.Affine):
        raise NeurokdError(f"layer '{reader}': reads '{path}' without a convolution or linear layer between")
    weight, bias = np.asarray(node.weight, np.float64), np.asarray(node.bias, np.float64)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise NeurokdError(f"layer '{path}': NaN or infinite weights")
    if neurons.decay_u < MAX_DECAY and bias.any():
        raise NeurokdError(
            f"layer '{path}': a bias before the synaptic current of '{reader}', which would filter it; the chip adds "
            "a bias to the membrane, so train this layer with bias=False"
        )
    return weight * neurons.gain, bias * neurons.gain


def _signal(graph: nir.NIRGraph, wiring: Wiring, path: str) -> str:
    """The one node, input or spiking neurons, that the layer `path` reads."""
    sources = read_by(graph, wiring, path)
    if len(sources) > 1:
        raise NeurokdError(f"layer '{path}': reads the sum of {listing(sources)}; add before the neurons, not after")
    source = graph.nodes[sources[0]]
    if isinstance(source, nir.Conv2d | nir.Affine):
        raise NeurokdError(f"layer '{path}': follows '{sources[0]}' without neurons between; put nn.ReLU there")
    if isinstance(source, Integrator):
        raise NeurokdError(f"layer '{path}': follows the integrator '{sources[0]}', which does not spike")
    return sources[0]


def _synapse(graph: nir.NIRGraph, wiring: Wiring, path: str, weight: FloatArray, encoding: Encoding) -> FloatSynapse:
    """The layer `path` with its `weight`, in the unit of what it reads."""
    signal, node = _signal(graph, wiring, path), graph.nodes[path]
    source = graph.nodes[signal]
    inputs, name = (encoding, INPUT) if isinstance(source, nir.Input) else (SPIKES, signal)
    geometry: dict[str, Any] = {}
    if isinstance(node, nir.Conv2d):
        geometry = {key: _pair(getattr(node, key)) for key in ("stride", "padding", "dilation")}
        geometry["groups"] = int(node.groups)
    shape = _ints(source.output_type["output"])
    return FloatSynapse(path, name, shape, inputs.maximum, weight * inputs.unit, **geometry)


def _ints(shape: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in shape)


def _pair(value: Any) -> tuple[int, int]:
    first, second = np.broadcast_to(value, 2)
    return int(first), int(second)
