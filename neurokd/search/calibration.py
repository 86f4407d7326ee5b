"""Running statistics of one subnet, and what it gets wrong with them."""

import copy

import numpy as np
import torch
from torch import nn

from neurokd.data.images import ImageSet, IntArray
from neurokd.errors import NeurokdError
from neurokd.evaluation import logits_per_step
from neurokd.inputs import to_input

BATCH = 128  # images that share one estimate; the running statistics are the mean of the estimates


def calibration_images(train: ImageSet, indices: IntArray, count: int, seed: int) -> ImageSet:
    """`count` training images at `indices` (never validation, never test), drawn by `seed` and not augmented.

    Raises NeurokdError where there are not so many.
    """
    if count > len(indices):
        raise NeurokdError(f"search: calibration_images is {count}, but only {len(indices)} images train; lower it")
    chosen = np.random.RandomState(seed).permutation(indices)[:count]
    return train.subset(torch.as_tensor(chosen))


@torch.no_grad()
def recalibrated(net: nn.Module, images: ImageSet) -> nn.Module:
    """A copy of `net`, in evaluation mode, whose BN statistics are the mean over the batches of `images`.

    The shared weights of a supernet have seen every width and depth before them, so no one set of running statistics
    fits a subnet (Yu & Huang 2019, arXiv 1903.05134, section 3.3): each gets its own from these images.
    """
    net = copy.deepcopy(net).train()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches instead of a moving one
    device = next(net.parameters()).device
    for start in range(0, len(images), BATCH):
        logits_per_step(net, to_input(images.images[start : start + BATCH].to(device)))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return net.eval()


@torch.no_grad()
def wrong_images(net: nn.Module, images: ImageSet, batch_size: int = 256) -> list[int]:
    """Positions in `images` that `net` (in evaluation mode) classifies wrongly by the mean of its logits."""
    device = next(net.parameters()).device
    wrong = []
    for start in range(0, len(images), batch_size):
        logits = logits_per_step(net, to_input(images.images[start : start + batch_size].to(device))).mean(dim=0)
        differs = logits.argmax(dim=1).cpu() != images.labels[start : start + batch_size]
        wrong += (start + differs.nonzero().flatten()).tolist()
    return wrong
