"""The one-shot supernet: the largest network, of which every subnet is the leading part."""

from functools import lru_cache

import torch
from torch import nn
from torch.func import functional_call

from neurokd.data.images import DataSet
from neurokd.models.macs import count_macs
from neurokd.networks import build_student
from neurokd.recipe import ModelConfig, Recipe
from neurokd.search.space import FACTORY, Space, StageNet, Subnet
from neurokd.spiking import to_spiking


def leading(tensor: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """The first `shape[k]` entries along every axis: a view, through which gradients reach `tensor`.

    >>> leading(torch.arange(6).reshape(2, 3), torch.Size([1, 2]))
    tensor([[0, 1]])
    """
    return tensor[tuple(slice(0, size) for size in shape)]


class Supernet:
    """Weights shared by all subnets of a space.

    `weights` is the largest network, spiking or not as the recipe says. A subnet takes, of each tensor, the leading
    part that its own shapes ask for: the first d blocks of a stage, the first w channels of a convolution. It runs on
    the batch's own statistics; running statistics belong to one subnet, and `neurokd.search.calibration` finds them.
    """

    def __init__(self, recipe: Recipe, space: Space, dataset: DataSet) -> None:
        self.recipe, self.space = recipe, space
        self.shape, self.classes = dataset.shape, len(dataset.classes)
        self.weights = build_student(recipe_of(recipe, space.largest), self.shape, self.classes)
        self._templates = lru_cache(maxsize=512)(self._template)

    def logits(self, subnet: Subnet, images: torch.Tensor) -> torch.Tensor:
        """Logits `[T, B, C]` of a subnet on images or frames, with batch statistics and gradients into the weights."""
        net = self._templates(subnet)
        shared = dict(self.weights.named_parameters())
        parts = {name: leading(shared[name], parameter.shape) for name, parameter in net.named_parameters()}
        if images.ndim == 5 and self.recipe.neuron is None:  # frames are images of their own to an ANN
            return functional_call(net, parts, (images.flatten(0, 1),)).unflatten(0, images.shape[:2])  # type: ignore[no-any-return]
        logits: torch.Tensor = functional_call(net, parts, (images,))
        return logits if logits.ndim == 3 else logits.unsqueeze(0)

    def cut(self, subnet: Subnet) -> nn.Module:
        """A stand-alone copy of a subnet: what `recipe_of` describes, with the shared weights.

        Its running statistics are those of a new network.
        """
        net = self._activated(subnet)
        shared = dict(self.weights.named_parameters())
        device = next(iter(shared.values())).device
        net = net.to_empty(device=device)
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter.copy_(leading(shared[name], parameter.shape))
        for norm in _norms(net):
            norm.reset_running_stats()
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def parameters_and_macs(self, subnet: Subnet) -> tuple[int, int]:
        """Trainable numbers, and multiply-accumulates of one image through the ANN (`count_macs`)."""
        with torch.device("meta"):
            ann = StageNet(subnet, self.shape, self.classes)
        return sum(parameter.numel() for parameter in ann.parameters()), count_macs(ann, self.shape)

    def _template(self, subnet: Subnet) -> nn.Module:
        """A subnet without weights and without running statistics."""
        net = self._activated(subnet)
        for norm in _norms(net):
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
        return net

    def _activated(self, subnet: Subnet) -> nn.Module:
        """A subnet on torch's `meta` device: shapes, no numbers, nothing drawn."""
        with torch.device("meta"):
            ann = StageNet(subnet, self.shape, self.classes)
        return to_spiking(ann, self.recipe.neuron, self.recipe.timesteps) if self.recipe.neuron else ann


def recipe_of(recipe: Recipe, subnet: Subnet) -> Recipe:
    """The recipe that trains a subnet from scratch, as a network of its own."""
    model = ModelConfig(name=FACTORY, channels=list(subnet.channels), depths=list(subnet.depths))  # type: ignore[call-arg]
    changes = {"name": f"{recipe.name}-{subnet.name}", "model": model, "published": None}
    return recipe.model_copy(update=changes)


def _norms(net: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
