"""The same images through every form that a network takes: its answers, and how often each neuron fires."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import nir
import numpy as np
import numpy.typing as npt
import torch

from neurokd.data.images import ImageSet
from neurokd.export.network import LoihiNetwork
from neurokd.export.nir_graphs.run_float import float_runs
from neurokd.export.quantization.calibrate import float_logits
from neurokd.hardware.trace import Trace
from neurokd.inputs import PIXELS, Encoding
from neurokd.spiking import LIFNeurons, SpikingNetwork

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stage:
    """One form of the network. `answers` `[B, classes]` are those after the last step.

    `rates[population]` `[*shape]` is how often each neuron fires in a step, averaged over images and steps.
    """

    name: str
    answers: FloatArray
    rates: dict[str, FloatArray]
    note: str | None = None

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """The predicted classes, `[B]`."""
        return np.asarray(self.answers.argmax(axis=1), np.int64)


def of_student(name: str, student: SpikingNetwork, images: ImageSet) -> Stage:
    """The torch model; its populations are called as `lower` calls them, by module path."""
    with _spikes_counted(student) as counts:
        answers = float_logits(student, images)
    return Stage(name, answers, {path: spikes / slots for path, (spikes, slots) in counts.items()})


def of_graph(
    name: str, graph: nir.NIRGraph, images: ImageSet, encoding: Encoding = PIXELS, note: str | None = None
) -> Stage:
    """A float NIR graph, computed by `run_float` on the integers of `encoding`."""
    answers, counts = [], dict[str, FloatArray]()
    for run in float_runs(graph, images, encoding):
        answers.append(run.answer[-1].double().numpy())
        for population, spikes in run.spikes.items():
            counts[population] = counts.get(population, 0.0) + spikes.sum((0, 1)).double().numpy()
    slots = len(images) * int(graph.metadata["timesteps"])
    rates = {population: count / slots for population, count in counts.items()}
    return Stage(name, np.concatenate(answers), rates, note)


def of_network(name: str, network: LoihiNetwork, trace: Trace) -> Stage:
    """The integers, from a trace of their run; the answers are in the unit of the float network's."""
    if trace.readout is None:
        raise ValueError(f"stage '{name}': the network has no read-out")
    spiking = [population.name for population in network.populations if population.name != network.readout]
    slots = trace.samples * trace.timesteps
    rates = {population: trace.counts[population].sum(axis=0) / slots for population in spiking}
    return Stage(name, trace.readout[-1] * network.logit_scale, rates)


@contextmanager
def _spikes_counted(student: SpikingNetwork) -> Iterator[dict[str, tuple[FloatArray, int]]]:
    """Spikes `[*shape]` and how many could have been, of every layer of neurons, over its calls."""
    counts: dict[str, tuple[FloatArray, int]] = {}

    def count(path: str, spikes: torch.Tensor) -> None:
        seen, slots = counts.get(path, (np.zeros(tuple(spikes.shape[1:])), 0))
        counts[path] = (seen + spikes.detach().sum(0).double().numpy(), slots + len(spikes))

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, out, path=path: count(path, out))
        for path, module in student.net.named_modules()
        if isinstance(module, LIFNeurons)
    ]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()
