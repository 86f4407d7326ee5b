"""A trainable network that computes with the integers of its own export (quantisation-aware training)."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from neurokd.export.network import Connection, LoihiNetwork, Population
from neurokd.export.nir_graphs.euler import FloatArray
from neurokd.export.qat.integer_lif import integer_lif
from neurokd.export.quantization.float_populations import FloatPopulation
from neurokd.export.quantization.quantize import LayerScale, Quantized, assemble
from neurokd.export.quantization.scale import within_limits
from neurokd.export.validate import INPUT
from neurokd.hardware.simulator import simulate
from neurokd.inputs import Encoding
from neurokd.spiking import SpikingNetwork, TimeAxis

Integers = npt.NDArray[np.integer[Any]]


class IntegerNetwork(SpikingNetwork):
    """Populations with trainable weights and biases, which every pass quantises by the rules of the export.

    In training mode the forward pass computes the integers of the chip; gradients go straight through the rounding
    to the float weights (Bengio et al., arXiv:1308.3432) and through spikes by the surrogate of `integer_lif`, of
    which `width` is the reach. In evaluation mode the exported network runs on the simulator, so that what is
    validated is what the file computes, to the last image: the logits are float64 and without rounding.

    Both take the images of the float network, `x = stored integer * unit`. `scales` are those of the start. They
    stay, as thresholds and decays do: a scale gets smaller where new weights would exceed the chip, and only there.
    """

    def __init__(
        self,
        populations: Sequence[FloatPopulation],
        scales: Sequence[LayerScale],
        encoding: Encoding,
        timesteps: int,
        *,
        labels: tuple[str, ...] = (),
        width: float = 1.0,
    ) -> None:
        layers = nn.ModuleList(_Latent(population) for population in populations)
        super().__init__(layers, timesteps, TimeAxis(timesteps))
        self.scales, self.encoding, self.labels, self.width = tuple(scales), encoding, labels, width

    def populations(self) -> list[FloatPopulation]:
        """The populations with the weights of now."""
        return [layer.population() for layer in self._layers]

    def quantized(self) -> Quantized:
        """The network that is exported with the weights of now."""
        found = self.populations()
        scales = [within_limits(one, scale, self.timesteps) for one, scale in zip(found, self.scales, strict=True)]
        return assemble(found, scales, self.encoding, self.timesteps, self.labels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images `[B, C, H, W]` or frames `[T, B, C, H, W]` to logits `[T, B, classes]`."""
        quantized = self.quantized()
        stored = (x.detach() * ((1 << self.encoding.shift) / self.encoding.unit)).round().int()
        if stored.ndim == 5:
            stored = stored.swapaxes(0, 1)
        shown = quantized.network.input.encode(stored.numpy())
        if not self.training:
            return _answers(quantized.network, shown)
        return self._trainable(quantized, torch.from_numpy(shown).float())

    @property
    def _layers(self) -> "list[_Latent]":
        return [layer for layer in self.net.children() if isinstance(layer, _Latent)]

    def _trainable(self, quantized: Quantized, shown: torch.Tensor) -> torch.Tensor:
        network = quantized.network
        signals = {INPUT: shown}  # [T or 1, B, ...]
        for layer, population, scale in zip(self._layers, network.populations, quantized.scales, strict=True):
            weights = layer.weights_in(network.incoming(population.name), scale)
            currents = [_current(signals[c.source], c, weight) for c, weight in weights]
            current = sum(currents[1:], start=currents[0])
            bias = layer.bias_in(population, scale)
            if population.name == network.readout:
                logits = (current + bias) / scale.scale
                return logits.expand(self.timesteps, *logits.shape[1:])
            signals[population.name] = integer_lif(current, bias, population, self.timesteps, self.width)
        raise ValueError("IntegerNetwork: the last population is no read-out")


class _Latent(nn.Module):
    """The trainable floats of one population: weights and bias relative to its thresholds.

    A weight is what its largest input does to a neuron. So the learning rate means the same in a layer that reads
    pixels as in one that reads spikes, and in a channel with a scale of its own.
    """

    def __init__(self, population: FloatPopulation) -> None:
        super().__init__()
        self._fixed = population
        threshold = np.array(1.0) if population.threshold is None else population.threshold
        self._threshold = np.broadcast_to(threshold, len(population.bias))
        self.weights = nn.ParameterList(
            nn.Parameter(torch.tensor(one.weight * one.input_max / _rows(self._threshold, one.weight)).float())
            for one in population.synapses
        )
        self.bias = nn.Parameter(torch.tensor(population.bias / self._threshold).float())

    def population(self) -> FloatPopulation:
        """The population of now, in float64."""
        synapses = tuple(
            dataclasses.replace(one, weight=_float64(weight) * _rows(self._threshold, one.weight) / one.input_max)
            for one, weight in zip(self._fixed.synapses, self.weights, strict=True)
        )
        return dataclasses.replace(self._fixed, synapses=synapses, bias=_float64(self.bias) * self._threshold)

    def weights_in(self, connections: Sequence[Connection], scale: LayerScale) -> list[tuple[Connection, torch.Tensor]]:
        """The connections with weights that are their integers and pass gradients to the floats."""
        found = []
        for one, latent, connection in zip(self._fixed.synapses, self.weights, connections, strict=True):
            factor = torch.from_numpy(_rows(self._threshold, one.weight) * (scale.scale / one.input_max))
            wanted = latent * factor.float()
            integers = torch.from_numpy(connection.weight).float()
            missing = integers.numel() // len(integers) - wanted.numel() // len(wanted)
            if missing:  # the constant plane, which carries the bias: appended last
                plane = wanted.new_zeros(len(wanted), missing).view(len(wanted), -1, *wanted.shape[2:])
                wanted = torch.cat([wanted, plane], dim=1)
            found.append((connection, _Straight.apply(wanted, integers)))  # type: ignore[no-untyped-call]
        return found

    def bias_in(self, population: Population, scale: LayerScale) -> torch.Tensor:
        """The integer bias beside that of the plane, for `[B, *shape]`; gradients go to the whole bias."""
        rest = np.zeros(len(self.bias)) if population.bias is None else population.bias
        integers = torch.from_numpy(np.asarray(rest, np.float32))
        wanted = self.bias * torch.from_numpy(self._threshold * scale.scale).float()
        passed: torch.Tensor = _Straight.apply(wanted, integers)  # type: ignore[no-untyped-call]
        return passed.view(-1, *[1] * (len(population.shape) - 1))


def _rows(values: FloatArray, like: FloatArray) -> FloatArray:
    """`values` `[O]` for weights `[O, ...]`."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


class _Straight(torch.autograd.Function):
    """`integers` forward, the gradient of `wanted` backward."""

    @staticmethod
    def forward(ctx: Any, wanted: torch.Tensor, integers: torch.Tensor) -> torch.Tensor:
        return integers

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0], None


def _current(signal: torch.Tensor, connection: Connection, weight: torch.Tensor) -> torch.Tensor:
    """The synaptic sums of a signal `[T or 1, B, ...]`."""
    if connection.kind == "dense":
        return F.linear(signal.flatten(2), weight)
    c = connection
    folded = signal.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    summed: torch.Tensor = F.conv2d(folded, weight, None, c.stride, c.padding, c.dilation, c.groups)
    return summed.unflatten(0, signal.shape[:2])  # type: ignore[no-any-return]


def _answers(network: LoihiNetwork, shown: Integers) -> torch.Tensor:
    """Logits `[T, B, classes]` of the simulator, so that their sums are exact: integers times a float of 24 bits."""
    readout = simulate(network, shown, record="counts").readout
    if readout is None:
        raise ValueError("IntegerNetwork: the network has no read-out")
    steps = np.diff(readout, axis=0, prepend=np.zeros_like(readout[:1]))
    return torch.from_numpy(steps * np.float64(np.float32(network.logit_scale)))


def _float64(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    return tensor.detach().numpy().astype(np.float64)
