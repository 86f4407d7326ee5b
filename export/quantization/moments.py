"""What the synapses of a float network are given by calibration images: mean and covariance of their inputs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import nir
import numpy as np
import torch
import torch.nn.functional as F

from neurokd.data.images import ImageSet
from neurokd.export.network import MAX_DECAY
from neurokd.export.nir_graphs.euler import FloatArray
from neurokd.export.nir_graphs.run_float import float_runs
from neurokd.export.quantization.float_populations import FloatPopulation, FloatSynapse
from neurokd.export.quantization.quantize import encoding_of
from neurokd.export.validate import INPUT
from neurokd.inputs import coarse

COLUMNS = 4096  # inputs sampled of a synapse: positions of images and steps
BLOCK = 512  # inputs whose covariance is kept; beyond, the covariance is block-diagonal


@dataclass(frozen=True, eq=False)
class Moments:
    """Of the inputs of one synapse: `mean` `[groups, K]` and `covariance`, `[groups, k, k]` for each block of the K.

    K is `I / groups * kH * kW` in the order of a flattened weight. Without `centred`, `mean` is zero and `covariance`
    is the second moment: for a population that has no bias to take up a mean error.
    """

    mean: FloatArray
    covariance: tuple[FloatArray, ...]


def input_moments(graph: nir.NIRGraph, populations: Sequence[FloatPopulation], images: ImageSet) -> dict[str, Moments]:
    """Run `graph` on `images` and return the moments of every synapse of `populations`, by its name."""
    rng, encoding = np.random.default_rng(0), encoding_of(graph)
    synapses = [(synapse, one.decay_u == MAX_DECAY) for one in populations for synapse in one.synapses]
    columns: dict[str, list[torch.Tensor]] = {synapse.name: [] for synapse, _ in synapses}
    start = 0
    for run in float_runs(graph, images, encoding):
        count = run.answer.shape[1]
        shown = coarse(images.images[start : start + count], encoding.shift, encoding.maximum)
        signals = {INPUT: shown.flatten(0, 1) if images.frames else shown}
        signals |= {name: spikes.flatten(0, 1) for name, spikes in run.spikes.items()}
        share = math.ceil(COLUMNS * count / len(images))
        for synapse, _ in synapses:
            columns[synapse.name].append(_sampled(signals[synapse.source], synapse, share, rng))
        start += count
    return {
        synapse.name: _moments(torch.cat(columns[synapse.name]), synapse.groups, centred)
        for synapse, centred in synapses
    }


def _sampled(signal: torch.Tensor, synapse: FloatSynapse, share: int, rng: np.random.Generator) -> torch.Tensor:
    """About `share` of the inputs that the outputs of `synapse` see in `signal` `[N, *shape]`, `[n, groups * K]`."""
    if synapse.weight.ndim == 2:
        return signal[_chosen(len(signal), share, rng)].flatten(1).float()
    positions = math.prod(synapse.source_shape[1:]) // math.prod(synapse.stride)
    maps = signal[_chosen(len(signal), math.ceil(4 * share / max(1, positions)), rng)].float()
    patches = F.unfold(maps, synapse.weight.shape[2:], synapse.dilation, synapse.padding, synapse.stride)
    columns = patches.transpose(1, 2).flatten(0, 1)
    return columns[_chosen(len(columns), share, rng)]


def _chosen(count: int, wanted: int, rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(rng.choice(count, min(count, wanted), replace=False))


def _moments(columns: torch.Tensor, groups: int, centred: bool) -> Moments:
    inputs = columns.unflatten(1, (groups, -1)).transpose(0, 1)  # [groups, n, K]
    mean = inputs.mean(dim=1) if centred else torch.zeros(groups, inputs.shape[2])
    rest = inputs - mean.unsqueeze(1)
    blocks = rest.split(BLOCK, dim=2)
    covariance = tuple((block.transpose(1, 2) @ block / len(columns)).double().numpy() for block in blocks)
    return Moments(mean.double().numpy(), covariance)
