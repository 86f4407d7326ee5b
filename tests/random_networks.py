"""Random networks that a file can hold, and inputs for them: everything asymmetric, so that no wrong axis can pass."""

import dataclasses
from typing import Any

import numpy as np

from neurokd.export.network import (
    CURRENT_LIMIT,
    MAX_BIAS,
    MAX_STATE,
    MAX_THRESHOLD,
    MAX_WEIGHT,
    Connection,
    InputSpec,
    IntArray,
    LoihiNetwork,
    Population,
)
from neurokd.export.validate import INPUT, conv_output_shape, source_shape
from neurokd.hardware.lava.alignment import delay_of, lags_of

from .networks import within_24_bits

DECAYS = (0, 1, 200, 1024, 2048, 4095, 4096)
FORMS = ("chain", "chain", "soft chain", "graph", "graph", "soft graph")
Shape = tuple[int, ...]


def random_case(seed: int, form: str | None = None) -> tuple[LoihiNetwork, IntArray]:
    """A small network of the `form`, one of `FORMS` or drawn, and inputs `[T or 1, B, *shape]`.

    In "soft" forms populations reset softly and start elsewhere than at 0, or do not, population by population.
    """
    rng = np.random.default_rng(seed)
    form = form or str(rng.choice(FORMS))
    builder = _Builder(rng, branches="graph" in form, soft="soft" in form)
    network = builder.network()
    return network, _inputs(rng, network, samples=int(rng.integers(1, 4)))


class _Builder:
    """Grows a network population by population."""

    def __init__(self, rng: np.random.Generator, *, branches: bool, soft: bool) -> None:
        self.rng, self.branches, self.soft = rng, branches, soft
        kind: Any = str(rng.choice(["spikes", "graded", "bias"]))
        flat = rng.random() < 0.2
        plane = (int(rng.integers(5, 9)), int(rng.integers(4, 8)))
        shape: Shape = (int(rng.integers(3, 9)),) if flat else (2 * int(rng.integers(1, 3)), *plane)
        self.spec = InputSpec(shape, kind=kind)
        self.populations: list[Population] = []
        self.connections: list[Connection] = []

    def network(self) -> LoihiNetwork:
        """Convolutions, then dense layers, then perhaps a read-out; with branches, more sources for some of them."""
        rng = self.rng
        if self.spec.kind == "bias":
            self.populations.append(self._population("p0", self.spec.shape, 100, biased=False))
        for _ in range(0 if len(self.spec.shape) == 1 else int(rng.integers(self.branches, 4))):
            self._grow(self._convolution)
        for _ in range(int(rng.integers(self.branches, 3))):
            self._grow(self._dense)
        readout = None
        if rng.random() < 0.7 or not self.connections:
            readout = self._grow(self._dense)
            bias = rng.integers(-90, 91, self.populations[-1].shape) if rng.random() < 0.5 else None
            silent = Population(readout, self.populations[-1].shape, np.array(MAX_THRESHOLD), decay_v=0, bias=bias)
            self.populations[-1] = self._started(silent) if rng.random() < 0.5 else silent
        whole = LoihiNetwork(
            self.spec, tuple(self.populations), tuple(self.connections), int(rng.integers(1, 7)), readout
        )
        return within_24_bits(whole)

    def _last(self) -> str:
        return self.populations[-1].name if self.populations else INPUT

    def _sources(self) -> list[str]:
        """Everything that a new population may read."""
        return [*([] if self.spec.kind == "bias" else [INPUT]), *(p.name for p in self.populations)]

    def _shape(self, source: str) -> Shape:
        return self.spec.shape if source == INPUT else next(p.shape for p in self.populations if p.name == source)

    def _grow(self, make: Any) -> str:
        """Add a population behind the last one and, where there are branches, behind up to two more sources."""
        name = f"p{len(self.populations)}"
        sources = self._sources()
        extra = int(self.rng.integers(0, 3)) if self.branches else 0
        connection, shape = make(self._last(), name)
        incoming = [connection]
        for source in self.rng.choice(sources, extra):
            incoming.append(self._branch(str(source), name, shape))
        incoming = [self._weighted(connection, len(incoming)) for connection in incoming]
        drive = sum(self._mean_drive(connection) for connection in incoming)
        self.connections += [incoming[i] for i in self.rng.permutation(len(incoming))]
        self.populations.append(self._population(name, shape, max(2, drive // 3)))
        return name

    def _branch(self, source: str, target: str, shape: Shape) -> Connection:
        """A convolution that happens to give `shape`, else a dense matrix."""
        for _ in range(40 if len(shape) == len(self._shape(source)) == 3 else 0):
            connection, got = self._convolution(source, target, outputs=shape[0])
            if got == shape:
                return connection
        return Connection(source, target, np.empty((int(np.prod(shape)), int(np.prod(self._shape(source))))))

    def _convolution(self, source: str, target: str, outputs: int | None = None) -> tuple[Connection, Shape]:
        rng, shape = self.rng, self._shape(source)
        while True:
            kernel, stride = rng.integers(1, 4, 2), rng.integers(1, 3, 2)
            padding, dilation = rng.integers(0, (3, 2)), rng.integers(1, 3, 2)
            groups = int(rng.choice([g for g in (1, 2) if shape[0] % g == 0 and (outputs or g) % g == 0]))
            size = (outputs or groups * int(rng.integers(1, 4)), shape[0] // groups, *kernel)
            pairs = [(int(a), int(b)) for a, b in (stride, padding, dilation)]
            connection = Connection(source, target, np.empty(size), pairs[0], pairs[1], pairs[2], groups)
            got = conv_output_shape(connection, shape)
            if min(got) > 0:
                return connection, got

    def _dense(self, source: str, target: str) -> tuple[Connection, Shape]:
        size = (int(self.rng.integers(2, 9)), int(np.prod(self._shape(source))))
        return Connection(source, target, np.empty(size)), size[:1]

    def _largest(self, source: str) -> int:
        return self.spec.maximum if source == INPUT and self.spec.kind == "graded" else 1

    def _weighted(self, connection: Connection, shares: int) -> Connection:
        """Even integers: of both signs, or of one in some layers; their sums stay inside the 24 bits of u."""
        rng, size = self.rng, connection.weight.shape
        reach = (CURRENT_LIMIT - 1) // (shares * self._largest(connection.source) * int(np.prod(size[1:])))
        limit = max(1, min(MAX_WEIGHT, reach) // 2)
        signs = rng.random()
        low, high = (0 if signs < 0.25 else -limit), (0 if signs > 0.9 and shares > 1 else limit)
        weight = 2 * rng.integers(low, high + 1, size)
        if shares == 1:
            weight.flat[0] = 2  # never all zero, never all negative: netx alters such matrices
        return dataclasses.replace(connection, weight=weight)

    def _mean_drive(self, connection: Connection) -> int:
        weight = np.abs(connection.weight)
        return int(weight.reshape(len(weight), -1).sum(1).mean()) * self._largest(connection.source)

    def _population(self, name: str, shape: Shape, scale: int, biased: bool = True) -> Population:
        rng = self.rng
        per_channel = rng.random() < 0.3
        threshold = np.minimum(rng.integers(1, scale + 1, shape[:1] if per_channel else ()), MAX_THRESHOLD)
        if rng.random() < 0.3:
            threshold = np.minimum(2 * (threshold // 20) + 2, MAX_THRESHOLD)  # even and low, so that v meets it
        bias = None
        if biased and rng.random() < 0.6:
            low, high = -min(scale // 2, MAX_BIAS), min(scale, MAX_BIAS)
            bias = rng.integers(low, high + 1, shape if rng.random() < 0.3 else shape[:1])
        decay_u, decay_v = (int(decay) for decay in rng.choice(DECAYS, 2))
        return self._started(Population(name, shape, np.asarray(threshold), decay_u, decay_v, bias))

    def _started(self, population: Population) -> Population:
        """With a soft reset or an initial membrane, half the threshold or any, in soft forms."""
        rng = self.rng
        if not self.soft:
            return population
        half = np.asarray(32 * population.threshold)
        initials = [np.array(0), half, rng.integers(-MAX_STATE, MAX_STATE + 1, population.shape[:1]), half - 1]
        return dataclasses.replace(
            population, reset="soft" if rng.random() < 0.7 else "hard", initial=initials[rng.integers(4)]
        )


def _inputs(rng: np.random.Generator, network: LoihiNetwork, samples: int) -> IntArray:
    size = (network.timesteps if rng.random() < 0.6 else 1, samples, *network.input.shape)
    if network.input.kind == "bias":
        return rng.integers(-100, 200, size)
    if network.input.kind == "spikes":
        return rng.integers(-1, 3, size) * (rng.random(size) < 0.6)  # whatever is not 0 is a spike
    return rng.integers(0, 256, size)


def features(network: LoihiNetwork, inputs: IntArray) -> frozenset[str]:
    """What of Lava this case exercises, by the names under which it is counted."""
    convs = [c for c in network.connections if c.kind == "conv"]
    dense = [c for c in network.connections if c.kind == "dense"]
    lags = lags_of(network)
    delays = [delay_of(c, lags) for c in network.connections]
    found = {
        f"input of {network.input.kind}": True,
        "static input": len(inputs) == 1,
        "one step": network.timesteps == 1,
        "several samples": inputs.shape[1] > 1,
        "read-out": network.readout is not None,
        "groups": any(c.groups > 1 for c in convs),
        "dilation": any(c.dilation != (1, 1) for c in convs),
        "stride": any(c.stride != (1, 1) for c in convs),
        "padding": any(c.padding != (0, 0) for c in convs),
        "dense after an image": any(len(source_shape(network, c.source)) == 3 for c in dense),
        "dense onto an image": any(len(network.population(c.target).shape) == 3 for c in dense),
        "several connections into one population": any(len(network.incoming(p.name)) > 1 for p in network.populations),
        "input into several populations": sum(c.source == INPUT for c in network.connections) > 1,
        "a connection held back by one step": 1 in delays,
        "a connection held back by several steps": max(delays, default=0) > 1,
        "weights without a positive one": any(c.weight.max() <= 0 for c in network.connections),
        "weights without a negative one": any(c.weight.min() >= 0 for c in network.connections),
        "inputs other than 0 and 1 as spikes": network.input.kind == "spikes" and bool((abs(inputs) > 1).any()),
    }
    return frozenset(name for name, present in found.items() if present).union(
        *map(_of_population, network.populations)
    )


def _of_population(population: Population) -> set[str]:
    p = population
    found = {
        "soft reset": p.reset == "soft",
        "initial membrane": bool(p.initial.any()),
        "initial membrane per channel": p.initial.ndim == 1 and p.initial.size > 1,
        "bias per channel": p.bias is not None and p.bias.ndim == 1,
        "bias per neuron": p.bias is not None and p.bias.ndim == 3,
        "threshold per channel": p.threshold.ndim == 1,
        "synaptic memory": p.decay_u < 4096,
        "decay of 0": 0 in (p.decay_u, p.decay_v),
        "a decay that is no power of two": any(d not in (0, 2048, 3072, 4096) for d in (p.decay_u, p.decay_v)),
    }
    return {name for name, present in found.items() if present}
