"""Prepares a network for simulation: proven bounds, exact products, where each bias is added."""

from dataclasses import dataclass

import numpy as np
import torch

from neurokd.export.bounds import weighted_sums
from neurokd.export.network import FRACTION_BITS, MAX_DECAY, Connection, IntArray, LoihiNetwork, Population
from neurokd.export.validate import INPUT, source_shape
from neurokd.hardware.lif import STATE_LIMIT, StateBounds, channelwise
from neurokd.hardware.product import Product


@dataclass(frozen=True)
class InputRange:
    """The smallest and the largest value that the inputs of one run hold, after reading spikes as 0 or 1."""

    low: int
    high: int

    @classmethod
    def of(cls, inputs: IntArray, kind: str) -> "InputRange":
        """The range of `inputs` as a network with input `kind` reads them."""
        return cls(0, 1) if kind == "spikes" else cls(int(inputs.min()), int(inputs.max()))

    @property
    def magnitude(self) -> int:
        """Largest absolute value."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class Step:
    """One population ready to run: its bounds, the products that drive it, and its bias `<< 6`.

    `bias` is `[1, 1, C, 1, 1]` or the like, or None where there is none or where it rides on the
    first product. `source_names` are in the order of `products`.
    """

    bounds: StateBounds
    source_names: tuple[str, ...]
    products: tuple[Product, ...]
    bias: torch.Tensor | None


def plan(network: LoihiNetwork, inputs: InputRange, *, bias_may_ride: bool) -> tuple[Step, ...]:
    """One `Step` per population, in order.

    `bias_may_ride` lets the bias be added inside the synaptic kernel, at no cost, where neither u
    is asked for nor the current comes later than the bias.
    """
    return tuple(_step(network, population, inputs, bias_may_ride) for population in network.populations)


def _step(network: LoihiNetwork, population: Population, inputs: InputRange, bias_may_ride: bool) -> Step:
    incoming = network.incoming(population.name)
    bounds = [_bounds(network, connection, inputs) for connection in incoming]
    partial, reach = sum(bound[0] for bound in bounds), sum(bound[1] for bound in bounds)
    if incoming:
        bias_reach = 0 if population.bias is None else int(np.abs(population.bias.astype(np.int64)).max())
    else:
        bias_reach = inputs.magnitude  # the inputs are its bias
    bias: torch.Tensor | None = None
    offset: torch.Tensor | None = None
    if population.bias is not None:
        bias = channelwise(population.bias, population.shape, torch.float64)[None, None]
    if bias is not None and bias_may_ride and _rides(population, incoming, reach + bias_reach):
        offset, bias = bias.flatten(), None
        partial, reach, bias_reach = partial + bias_reach, reach + bias_reach, 0
    products = (
        Product(connection, population.shape, partial, None if index else offset)
        for index, connection in enumerate(incoming)
    )
    state = StateBounds(population, reach << FRACTION_BITS, bias_reach << FRACTION_BITS, network.timesteps)
    return Step(state, tuple(connection.source for connection in incoming), tuple(products), bias)


def _bounds(network: LoihiNetwork, connection: Connection, inputs: InputRange) -> tuple[int, int]:
    """Bounds of any partial sum and of the whole sum; they differ where no input is negative."""
    from_input = connection.source == INPUT
    channels = source_shape(network, connection.source)[0]
    maxima = np.full(channels, inputs.magnitude if from_input else 1, dtype=np.int64)
    positive, negative = weighted_sums(connection, maxima)
    partial = int((positive + negative).max())
    one_sign = not from_input or inputs.low >= 0
    return partial, int(np.maximum(positive, negative).max()) if one_sign else partial


def _rides(population: Population, incoming: tuple[Connection, ...], reach: int) -> bool:
    """Adding the bias to a current without memory and without wrap is adding it to v."""
    per_output = population.bias is not None and population.bias.shape == incoming[0].weight.shape[:1]
    return per_output and population.decay_u == MAX_DECAY and reach << FRACTION_BITS < STATE_LIMIT
