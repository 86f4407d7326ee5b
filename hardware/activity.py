"""How much a network works for one sample: operations, spikes and updates, by NeuroBench's definitions."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from neurokd.errors import NeurokdError
from neurokd.export.network import Connection, LoihiNetwork, Population
from neurokd.export.validate import INPUT, source_shape
from neurokd.hardware.trace import Trace

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LayerActivity:
    """The work of one population and of the connections into it per sample, over all steps.

    `effective_macs` and `effective_acs` count pairs of a non-zero input and a non-zero weight:
    multiplications where the inputs are other than -1, 0 and 1, else additions.
    `dense_operations` counts every pair. `synapses` is the number of pairs in one step;
    `connection_sparsity` is the share of stored weights that are zero. `spikes` and
    `neuron_updates` are per sample, `firing_rate` is spikes per neuron and step.
    """

    name: str
    neurons: int
    synapses: int
    effective_macs: float
    effective_acs: float
    dense_operations: int
    connection_sparsity: float
    spikes: float
    firing_rate: float
    neuron_updates: int


@dataclass(frozen=True)
class Activity:
    """The whole network's work per sample, averaged over the samples of one run.

    `static_input` says that the same image came at every step. Its product with the first weights
    is counted at every step, as a chip without memory for it performs it; `macs_once` counts it once.
    """

    layers: tuple[LayerActivity, ...]
    timesteps: int
    samples: int
    static_input: bool

    @property
    def macs(self) -> float:
        """Multiply-accumulates per sample."""
        return sum(layer.effective_macs for layer in self.layers)

    @property
    def macs_once(self) -> float:
        """Multiply-accumulates per sample if the product of a static image is kept and used again."""
        return self.macs / self.timesteps if self.static_input else self.macs

    @property
    def acs(self) -> float:
        """Accumulates per sample: synaptic operations that a spike causes."""
        return sum(layer.effective_acs for layer in self.layers)

    @property
    def dense_operations(self) -> int:
        """Operations per sample if every input and every weight were non-zero."""
        return sum(layer.dense_operations for layer in self.layers)

    @property
    def spikes(self) -> float:
        """Spikes per sample."""
        return sum(layer.spikes for layer in self.layers)

    @property
    def neuron_updates(self) -> int:
        """Neuron updates per sample: neurons times steps."""
        return sum(layer.neuron_updates for layer in self.layers)

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and step over all populations."""
        return self.spikes / self.neuron_updates

    def to_json(self) -> dict[str, Any]:
        """Plain values for a report: the layers in order, and totals."""
        totals = ("macs", "macs_once", "acs", "dense_operations", "spikes", "neuron_updates", "firing_rate")
        return {**asdict(self), "totals": {name: getattr(self, name) for name in totals}}


def measure_activity(network: LoihiNetwork, trace: Trace) -> Activity:
    """Count the work of `network` in the run `trace`, of which only `counts` are needed.

    An operation is a pair of a non-zero input and a non-zero weight, at every step
    (neurobench/metrics/workload/synaptic_operations.py). Zero padding and zero weights cost
    nothing, just as in the synaptic-operation counter of Loihi 2.

    Raises NeurokdError if the trace lacks the counts of a population or of the input.

    >>> from neurokd.export.network import InputSpec
    >>> neuron = Population("out", (2,), threshold=np.array(9))
    >>> synapse = Connection("input", "out", weight=np.array([[6, 2, 4], [0, 2, 0]]))
    >>> net = LoihiNetwork(InputSpec((3,)), (neuron,), (synapse,), timesteps=1)
    >>> counts = {"input": np.array([[1, 1, 0]]), "out": np.array([[0, 0]])}
    >>> measure_activity(net, Trace("integer", 1, 1, counts)).acs
    3.0
    """
    counts = {name: _counts(network, trace, name) for name in [INPUT, *(p.name for p in network.populations)]}
    layers = tuple(_layer(network, trace, population, counts) for population in network.populations)
    return Activity(layers, trace.timesteps, trace.samples, bool(trace.info.get("static_input", False)))


def dense_operations(connection: Connection, shape: tuple[int, ...]) -> int:
    """Operations of one step over an input of `shape` without a single zero; padding is not an input."""
    return _operations(connection, np.ones_like(connection.weight), np.ones(shape, dtype=np.int64))


def _counts(network: LoihiNetwork, trace: Trace, name: str) -> Int64Array:
    """Non-zero values of `name` summed over samples and steps, `[*shape]`."""
    expected = (trace.timesteps, *source_shape(network, name))
    got = trace.counts[name].shape if name in trace.counts else None
    if got != expected:
        raise NeurokdError(f"trace of {trace.backend}: counts of '{name}' have shape {got}, needed is {expected}")
    return np.asarray(trace.counts[name].sum(axis=0), dtype=np.int64)


def _layer(
    network: LoihiNetwork, trace: Trace, population: Population, counts: Mapping[str, Int64Array]
) -> LayerActivity:
    incoming = network.incoming(population.name)
    macs = acs = 0.0
    for connection in incoming:
        nonzero = (connection.weight != 0).astype(np.int64)
        per_sample = _operations(connection, nonzero, counts[connection.source]) / trace.samples
        if connection.source == INPUT and _multiplies(network, trace):
            macs += per_sample
        else:
            acs += per_sample
    synapses = sum(dense_operations(connection, counts[connection.source].shape) for connection in incoming)
    stored = sum(connection.weight.size for connection in incoming)
    zeros = stored - sum(int(np.count_nonzero(connection.weight)) for connection in incoming)
    spikes, updates = int(counts[population.name].sum()) / trace.samples, population.size * trace.timesteps
    return LayerActivity(
        name=population.name,
        neurons=population.size,
        synapses=synapses,
        effective_macs=macs,
        effective_acs=acs,
        dense_operations=synapses * trace.timesteps,
        connection_sparsity=zeros / stored if stored else 0.0,
        spikes=spikes,
        firing_rate=spikes / updates,
        neuron_updates=updates,
    )


def _multiplies(network: LoihiNetwork, trace: Trace) -> bool:
    """Whether inputs are more than -1, 0 and 1; a trace that does not say counts as more."""
    low, high = trace.info.get("input_range", (-2, 2))
    return network.input.kind == "graded" and not (low >= -1 and high <= 1)


def _operations(connection: Connection, weight: npt.NDArray[np.integer[Any]], counts: Int64Array) -> int:
    """Sum over all outputs of `weight * counts`; both are whole numbers, so float64 is exact below 2^53."""
    values = torch.from_numpy(counts.astype(np.float64))[None]
    kernel = torch.from_numpy(weight.astype(np.float64))
    if connection.kind == "dense":
        return int((values.flatten(1) @ kernel.sum(dim=0)).item())
    c = connection
    return int(F.conv2d(values, kernel, None, c.stride, c.padding, c.dilation, c.groups).sum().item())
