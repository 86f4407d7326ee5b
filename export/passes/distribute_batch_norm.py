"""Move batch normalisation from an addition to what is added, where it can be folded.

With `B(x) = g (x - m) + b`: `B(x + y) = B(x) + g y`. The first summand keeps the normalisation, the others get its
factor alone, a normalisation with mean and shift 0.
"""

import copy
from typing import Any

import torch
from torch import fx, nn

from neurokd.export.passes.fold_batch_norm import BATCH_NORMS

_FOLDS = (nn.Conv2d, nn.Linear, *BATCH_NORMS)  # into these, or into what they are folded into


def distribute_batch_norm(model: fx.GraphModule, additions: tuple[Any, ...]) -> None:
    """Rewrite `model`, which the caller owns, so that no batch normalisation reads one of the `additions` alone.

    A summand that is no convolution or linear layer, such as the spikes of a shortcut, gets a layer of ones before
    its normalisation. An addition that feeds more than the normalisation, or has other operands than two tensors,
    stays for others to refuse.
    """
    waiting = list(model.graph.nodes)
    while waiting:
        node = waiting.pop(0)
        norm = _module(model, node)
        source = node.args[0] if isinstance(norm, BATCH_NORMS) else None
        if source is None or source.target not in additions or len(source.users) != 1 or norm.running_mean is None:
            continue
        if len(source.all_input_nodes) != 2 or len(source.args) != 2 or source.kwargs:
            continue
        first, second = source.args
        source.args = tuple(
            _normalised(model, source, operand, f"{node.target}{suffix}", one, additions)
            for operand, suffix, one in ((first, "", norm), (second, "_factor", _factor(norm)))
        )
        node.replace_all_uses_with(source)
        model.graph.erase_node(node)
        waiting += source.args  # the summands may be additions too
    model.recompile()


def _module(model: fx.GraphModule, node: fx.Node) -> Any:
    return model.get_submodule(str(node.target)) if node.op == "call_module" else None


def _factor(norm: Any) -> Any:
    """The normalisation without mean and shift: `g y`."""
    factor = copy.deepcopy(norm)
    torch.nn.init.zeros_(factor.running_mean)
    if factor.bias is not None:
        torch.nn.init.zeros_(factor.bias)
    return factor


def _normalised(
    model: fx.GraphModule, addition: fx.Node, operand: fx.Node, path: str, norm: Any, additions: tuple[Any, ...]
) -> fx.Node:
    """Insert `norm`, called `path`, between `operand` and `addition`; behind ones where there are no weights."""
    with model.graph.inserting_before(addition):
        if not isinstance(_module(model, operand), _FOLDS) and operand.target not in additions:
            model.add_submodule(f"{path}_ones", _ones(norm))
            operand = model.graph.call_module(f"{path}_ones", (operand,))
        model.add_submodule(path, norm)
        return model.graph.call_module(path, (operand,))


def _ones(norm: Any) -> nn.Module:
    size = norm.num_features
    ones: nn.Module
    if isinstance(norm, nn.BatchNorm2d):
        ones = nn.Conv2d(size, size, 1, groups=size, bias=False)
        nn.init.ones_(ones.weight)
    else:
        ones = nn.Linear(size, size, bias=False)
        nn.init.eye_(ones.weight)
    return ones.eval()
