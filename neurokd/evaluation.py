"""Accuracy after every step, and firing rates, from one pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from neurokd.data.images import ImageSet
from neurokd.inputs import to_input
from neurokd.spiking import LIFNeurons, SpikingNetwork


@dataclass(frozen=True)
class Evaluation:
    """`accuracy_per_step[t]` uses the mean of the logits of steps 0..t; an ANN has one step, or one for each frame.

    `firing_rate[layer]` is spikes per neuron and step, by module path.
    """

    accuracy_per_step: list[float]
    firing_rate: dict[str, float]


def logits_per_step(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits `[T, B, C]` of a spiking network, `[1, B, C]` of an ANN.

    An ANN sees frames `[T, B, C, H, W]` as images of their own and gives the logits of each, `[T, B, C]`.
    """
    if images.ndim == 5 and not isinstance(model, SpikingNetwork):
        return model(images.flatten(0, 1)).unflatten(0, images.shape[:2])  # type: ignore[no-any-return]
    logits: torch.Tensor = model(images)
    return logits if logits.ndim == 3 else logits.unsqueeze(0)


@torch.no_grad()
def evaluate(model: nn.Module, images: ImageSet, batch_size: int = 256) -> Evaluation:
    """Evaluate `model` (left in evaluation mode) on all `images`, or on the frames of recordings."""
    model.eval()
    device = next(model.parameters()).device
    correct: torch.Tensor | None = None
    with _firing_rates(model) as rates:
        for start in range(0, len(images), batch_size):
            labels = images.labels[start : start + batch_size].to(device)
            logits = logits_per_step(model, to_input(images.images[start : start + batch_size].to(device)))
            right = (logits.cumsum(dim=0).argmax(dim=-1) == labels).sum(dim=1)
            correct = right if correct is None else correct + right
    if correct is None:
        raise ValueError("evaluate: no images were given")
    accuracy = [float(count) / len(images) for count in correct]
    return Evaluation(accuracy, {name: spikes / elements for name, (spikes, elements) in rates.items()})


@contextmanager
def _firing_rates(model: nn.Module) -> Iterator[dict[str, tuple[float, int]]]:
    """Count (spikes, neuron steps) of each layer of neurons while the block runs."""
    rates: dict[str, tuple[float, int]] = {}

    def count(name: str, spikes: torch.Tensor) -> None:
        seen = rates.get(name, (0.0, 0))
        rates[name] = (seen[0] + float(spikes.sum(dtype=torch.float64)), seen[1] + spikes.numel())

    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: count(name, out))
        for name, module in model.named_modules()
        if isinstance(module, LIFNeurons)
    ]
    try:
        yield rates
    finally:
        for hook in hooks:
            hook.remove()
