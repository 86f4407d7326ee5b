"""Grad-CAM: which places of the last feature map speak for the predicted class (Selvaraju et al. 2017)."""

from dataclasses import dataclass

import torch
from torch import nn

from neurokd.evaluation import logits_per_step
from neurokd.figures.cast import Unsuited
from neurokd.figures.features import per_step
from neurokd.taps import Point, Recorder, activations, module_at


@dataclass(frozen=True, eq=False)
class Cam:
    """Maps `[B, h, w]` of the layer at `path`, not negative; predicted class and its probability, `[B]`."""

    path: str
    maps: torch.Tensor
    predicted: torch.Tensor
    probability: torch.Tensor


def grad_cam(model: nn.Module, images: torch.Tensor) -> Cam:
    """Grad-CAM of `model` (in evaluation mode) for its own predictions on images or frames (`to_input`).

    With the mean logits over T (an ANN has one step, or one for each frame), `Y_c` of the predicted class c, and the
    last feature map `A[t]` `[B, K, h, w]`:

        alpha_k = sum_t mean_ij dY_c / dA_k[t]_ij        map = ReLU(sum_k alpha_k mean_t A_k[t])

    With one step this is arXiv 1610.02391, eq. 1 and 2. Gradients pass neurons behind the feature map through their
    surrogate. Raises Unsuited for a network without a feature map of more than one position.
    """
    point = last_map(model, images)
    recorder = Recorder(model, [point], "after")
    outputs: list[torch.Tensor] = []  # as the network passes them on, so that they have gradients
    hook = module_at(model, point.path).register_forward_hook(lambda _m, _i, output: outputs.append(output))
    try:
        with torch.enable_grad():
            logits = logits_per_step(model, images).mean(dim=0)
            score, predicted = logits.max(dim=1)
            (gradient,) = torch.autograd.grad(score.sum(), outputs[point.call])
        features = per_step(model, recorder.features[0].detach(), images)
    finally:
        hook.remove()
        recorder.close()
    maps = weighted_map(features, gradient.reshape(features.shape))
    return Cam(point.path, maps, predicted, logits.detach().softmax(dim=1).amax(dim=1))


def weighted_map(features: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """`ReLU(sum_k alpha_k mean_t A_k[t])`, `[B, h, w]`, of `[T, B, K, h, w]`.

    >>> weighted_map(torch.tensor([[[[[1.0, -1.0]]]]]), torch.tensor([[[[[1.0, 3.0]]]]]))
    tensor([[[2., 0.]]])
    """
    alpha = gradients.mean(dim=(-2, -1)).sum(dim=0)
    return torch.einsum("bk,bkhw->bhw", alpha, features.mean(dim=0)).relu()


def last_map(model: nn.Module, images: torch.Tensor) -> Point:
    """The last activation with more than one position; Unsuited if there is none."""
    maps = [p for p in activations(model, images) if len(p.shape) == 3 and p.shape[1] * p.shape[2] > 1]
    if not maps:
        raise Unsuited("no activation module gives a feature map of more than one position")
    return maps[-1]
