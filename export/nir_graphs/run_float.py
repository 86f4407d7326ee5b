"""Run a NIR graph in floating point: the reference of which the integers are an approximation."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from neurokd.data.images import ImageSet
from neurokd.errors import NeurokdError
from neurokd.export.contract.layers_of_nir import layers_of_nir
from neurokd.export.nir_graphs.euler import Integrator, Spiking, euler_step
from neurokd.export.nir_graphs.reset import initial_of, reset_of
from neurokd.export.nir_graphs.wiring import wiring_of
from neurokd.inputs import PIXELS, Encoding, coarse

MAX_VALUES = 1 << 26  # of the largest layer over all steps of a batch: 256 MiB


@dataclass(frozen=True)
class FloatTrace:
    """One run. `spikes[name]` is bool `[T, B, *shape]` for every population.

    `answer` is `[T, B, classes]`: after each step the sum of all logits so far or, of a chain that ends in an
    integrator (LI, I, CubaLI), its membrane `v[t]`.
    """

    spikes: dict[str, torch.Tensor]
    answer: torch.Tensor


@torch.no_grad()
def run_float(graph: nir.NIRGraph, inputs: torch.Tensor) -> FloatTrace:
    """Run `graph` on `inputs` `[T, B, *shape]`, or `[1, B, *shape]` for the same at every step.

    A node with several sources reads their sum.
    Every node computes its NIR equation, those in time by one Euler step of `graph.metadata["dt"]` (`euler_step`),
    all neurons with their own parameters, in the precision of `inputs`. Layers see the spikes of their own step.
    Where metadata say so (`reset`), neurons have the soft reset and the start of `neurokd.neurons.LIF`.
    Raises NeurokdError naming a node that is not known here, or whose parameters do not fit its input.
    """
    dt, steps = float(graph.metadata["dt"]), int(graph.metadata["timesteps"])
    wiring = wiring_of(graph)
    spikes: dict[str, torch.Tensor] = {}
    outputs: dict[str, torch.Tensor] = {}
    unread = {name: len(users) for name, users in wiring.users.items()}
    for name in wiring.order:
        node, sources = graph.nodes[name], wiring.sources[name]
        x = inputs if isinstance(node, nir.Input) else _sum_of(name, [outputs[source] for source in sources])
        try:
            outputs[name] = _output(node, x, steps, dt)
        except KeyError as error:
            raise NeurokdError(f"layer '{name}': {type(node).__name__} cannot be run; use neurokd check") from error
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            raise NeurokdError(f"layer '{name}': cannot run on an input of {tuple(x.shape[2:])}: {first}") from error
        if isinstance(node, Spiking | nir.Threshold):
            spikes[name] = outputs[name].expand(steps, *x.shape[1:]).bool()
        for source in sources:
            unread[source] -= 1
            if unread[source] == 0:
                del outputs[source]
    (answer,) = outputs.values()
    answer = answer.expand(steps, *answer.shape[1:])
    integrated = any(isinstance(graph.nodes[source], Integrator) for source in wiring.sources[wiring.order[-1]])
    return FloatTrace(spikes, answer if integrated else answer.cumsum(0))


def _sum_of(name: str, terms: list[torch.Tensor]) -> torch.Tensor:
    """What a node reads, `[T or 1, B, *shape]`: the sum of its sources."""
    shapes = {tuple(term.shape[2:]) for term in terms}
    if len(shapes) > 1:
        raise NeurokdError(f"layer '{name}': sums outputs of shapes {sorted(shapes)}; give all of them one shape")
    return functools.reduce(torch.add, terms)


def _output(node: Any, x: torch.Tensor, steps: int, dt: float) -> torch.Tensor:
    """The output of one node, `[T or 1, B, *shape]`."""
    if isinstance(node, nir.Input | nir.Output):
        return x
    if isinstance(node, Spiking | Integrator):
        return _in_time(node, x, steps, dt)
    if isinstance(node, nir.Threshold):
        return _like(node.threshold, x).lt(x).to(x.dtype)
    folded = _LAYERS[type(node)](node, x.flatten(0, 1))
    return folded.reshape(*x.shape[:2], *folded.shape[1:])


def _in_time(node: Spiking | Integrator, x: torch.Tensor, steps: int, dt: float) -> torch.Tensor:
    """Spikes, or the membrane of an integrator, `[T, B, *shape]`."""
    step = euler_step(node, dt)
    keep_u, keep_v, gain = (_like(values, x) for values in (1.0 - step.forget_u, 1.0 - step.forget_v, step.gain))
    threshold = _like(node.v_threshold, x) if isinstance(node, Spiking) else None
    soft, initial = reset_of(node) == "soft", initial_of(node)
    u = torch.zeros_like(x[0])
    v = u if threshold is None else u + initial * threshold
    out = x.new_empty((steps, *x.shape[1:]))
    for t in range(steps):
        u = keep_u * u + gain * x[t if len(x) > 1 else 0]
        v = keep_v * v + u
        if threshold is None:
            out[t] = v
            continue
        fired = v >= threshold if soft else v > threshold
        out[t] = fired
        v = v - fired * threshold if soft else v.masked_fill(fired, 0.0)
    return out


def _like(values: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values, np.float64)).to(x.dtype)


def _conv(node: Any, x: torch.Tensor) -> torch.Tensor:
    convolve = F.conv1d if isinstance(node, nir.Conv1d) else F.conv2d
    size = 1 if isinstance(node, nir.Conv1d) else 2
    stride, dilation = _sizes(node.stride, size), _sizes(node.dilation, size)
    padding = node.padding if isinstance(node.padding, str) else _sizes(node.padding, size)
    bias = _like(node.bias, x)
    return convolve(x, _like(node.weight, x), bias, stride, padding, dilation, int(node.groups))


def _pool(node: nir.AvgPool2d | nir.SumPool2d, x: torch.Tensor) -> torch.Tensor:
    kernel, stride, padding = (_sizes(v, 2) for v in (node.kernel_size, node.stride, node.padding))
    return F.avg_pool2d(x, kernel, stride, padding, divisor_override=1 if isinstance(node, nir.SumPool2d) else None)


def _sizes(values: Any, count: int) -> tuple[int, ...]:
    return tuple(int(value) for value in np.broadcast_to(values, count))


_LAYERS: dict[type, Callable[[Any, torch.Tensor], torch.Tensor]] = {
    nir.Affine: lambda node, x: x @ _like(node.weight, x).T + _like(node.bias, x),
    nir.Linear: lambda node, x: x @ _like(node.weight, x).T,
    nir.Conv1d: _conv,
    nir.Conv2d: _conv,
    nir.AvgPool2d: _pool,
    nir.SumPool2d: _pool,
    nir.Flatten: lambda node, x: x.flatten(1),
    nir.Scale: lambda node, x: x * _like(node.scale, x),
}


def float_runs(graph: nir.NIRGraph, images: ImageSet, encoding: Encoding = PIXELS) -> Iterator[FloatTrace]:
    """Run `graph` on `images` batch by batch, shown as the integers of `encoding`."""
    widest = max(math.prod(layer.shape or ()) for layer in layers_of_nir(graph))
    size = min(256, max(1, MAX_VALUES // (widest * int(graph.metadata["timesteps"]))))
    for start in range(0, len(images), size):
        shown = coarse(images.images[start : start + size], encoding.shift, encoding.maximum)
        batch = shown.float() * encoding.unit
        yield run_float(graph, batch.transpose(0, 1) if images.frames else batch.unsqueeze(0))


def float_answers(graph: nir.NIRGraph, images: ImageSet, encoding: Encoding = PIXELS) -> npt.NDArray[np.float64]:
    """The answer after the last step to every one of `images`, `[B, classes]`."""
    parts = [run.answer[-1] for run in float_runs(graph, images, encoding)]
    return np.asarray(torch.cat(parts).numpy(), np.float64)
