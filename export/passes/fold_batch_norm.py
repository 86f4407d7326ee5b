"""Fold batch normalisation into the convolution or linear layer before it."""

from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from neurokd.errors import NeurokdError

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fold_batch_norm(model: fx.GraphModule) -> None:
    """Rewrite `model`, which the caller owns, so that no batch normalisation is left.

    `W' = W gamma / sigma`, `b' = (b - mu) gamma / sigma + beta`, computed in float64 and rounded
    once. Raises NeurokdError naming a normalisation that does not directly follow a convolution
    or linear layer which feeds nothing else.
    """
    for node in list(model.graph.nodes):
        if node.op != "call_module" or not isinstance(model.get_submodule(node.target), BATCH_NORMS):
            continue
        source = node.args[0]
        module = model.get_submodule(source.target) if source.op == "call_module" else None
        norm = model.get_submodule(node.target)
        if not isinstance(module, (nn.Conv2d, nn.Linear)) or len(source.users) != 1 or norm.running_mean is None:
            before = source.target if module is not None else getattr(source.target, "__name__", source.target)
            raise NeurokdError(
                f"layer '{node.target}': batch normalisation can be folded only when it has running statistics and "
                "directly follows a Conv2d, a Linear or an addition that feeds nothing else, or is read by linear "
                f"layers and convolutions without padding alone; here it follows '{before}'"
            )
        if _used_more_than_once(model, source.target):
            raise NeurokdError(f"layer '{source.target}': used more than once, so '{node.target}' cannot be folded")
        _replace(model, source.target, _fused(module, norm))
        node.replace_all_uses_with(source)
        model.graph.erase_node(node)
    model.recompile()


def follows_weights(model: fx.GraphModule, node: fx.Node) -> bool:
    """Whether the normalisation `node` directly follows a convolution or linear layer that feeds nothing else."""
    source = node.args[0]
    if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
        return False
    path = str(source.target)
    return isinstance(model.get_submodule(path), nn.Conv2d | nn.Linear) and not _used_more_than_once(model, path)


def _fused(module: nn.Conv2d | nn.Linear, norm: nn.Module) -> nn.Module:
    fuse: Any = fuse_conv_bn_eval if isinstance(module, nn.Conv2d) else fuse_linear_bn_eval
    fused: nn.Module = fuse(module.double().eval(), norm.double().eval())
    return fused.to(torch.float32)


def _used_more_than_once(model: fx.GraphModule, target: str) -> bool:
    calls = [node for node in model.graph.nodes if node.op == "call_module" and node.target == target]
    return len(calls) > 1


def _replace(model: fx.GraphModule, path: str, module: nn.Module) -> None:
    parent, _, leaf = path.rpartition(".")
    setattr(model.get_submodule(parent), leaf, module)
