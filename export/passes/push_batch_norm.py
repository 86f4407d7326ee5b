"""Fold batch normalisation into the weights that read it, where it follows none that it could be folded into.

With `B(x) = g x + c` for each channel: `W B(x) + b = (W g) x + (b + W c)`. Average pooling and flattening keep it as
it is. A convolution that pads reads zeros beyond the border, which no bias of a channel can tell from `c`.
"""

from typing import Any

import torch
from torch import fx, nn

from neurokd.export.passes.fold_batch_norm import BATCH_NORMS, follows_weights
from neurokd.export.tracing import flattens, pair

_PASSED = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def push_batch_norm(model: fx.GraphModule) -> None:
    """Rewrite `model`, which the caller owns, so that such a normalisation stands in the layers that read it.

    One that has no running statistics, or is read by anything else than convolutions without padding and linear
    layers that are used once, stays for others to refuse. Computed in float64 and rounded once.
    """
    for node in reversed(list(model.graph.nodes)):  # the last of several in a row first
        norm = _module(model, node)
        if not isinstance(norm, BATCH_NORMS) or norm.running_mean is None or follows_weights(model, node):
            continue
        readers = _readers(model, node, flat=isinstance(norm, nn.BatchNorm1d))
        if readers is None:
            continue
        factor, shift = _affine(norm)
        for reader in readers:
            _take(_module(model, reader), factor, shift)
        node.replace_all_uses_with(node.args[0])
        model.graph.erase_node(node)
    model.recompile()


def pads(module: nn.Module) -> bool:
    """Whether a layer of weights reads beyond the border of its input."""
    return isinstance(module, nn.Conv2d) and (isinstance(module.padding, str) or any(pair(module.padding)))


def _module(model: fx.GraphModule, node: fx.Node) -> Any:
    return model.get_submodule(str(node.target)) if node.op == "call_module" else None


def _readers(model: fx.GraphModule, node: fx.Node, flat: bool) -> list[fx.Node] | None:
    """The layers of weights that read `node`, `flat` if its output has no pixels; None where something else does."""
    found: list[fx.Node] = []
    for user in node.users:
        module = _module(model, user)
        flattened = flattens(user) or (isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1))
        if isinstance(module, _PASSED) or flattened:
            further = _readers(model, user, flat or flattened)
            if further is None:
                return None
            found += further
        elif isinstance(module, nn.Linear if flat else nn.Conv2d) and not pads(module) and _used_once(model, user):
            found.append(user)
        else:
            return None
    return found


def _used_once(model: fx.GraphModule, node: fx.Node) -> bool:
    return [other.target for other in model.graph.nodes if other.op == "call_module"].count(node.target) == 1


def _affine(norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """`g` and `c` of each channel, float64."""
    ones = torch.ones(norm.num_features, dtype=torch.float64)
    weight = ones if norm.weight is None else norm.weight.detach().double()
    bias = 0.0 * ones if norm.bias is None else norm.bias.detach().double()
    factor = weight / torch.sqrt(norm.running_var.double() + norm.eps)
    return factor, bias - norm.running_mean.double() * factor


def _take(module: Any, factor: torch.Tensor, shift: torch.Tensor) -> None:
    """Let `module` read what comes before the normalisation."""
    weight = module.weight.detach().double()
    if isinstance(module, nn.Linear):
        each = module.in_features // len(factor)  # pixels of a channel that was flattened
        scaled, constant = weight * factor.repeat_interleave(each), weight @ shift.repeat_interleave(each)
    else:
        grouped = weight.unflatten(0, (module.groups, -1))  # [groups, O / groups, I / groups, kH, kW]
        factors, shifts = (values.view(module.groups, 1, -1, 1, 1) for values in (factor, shift))
        scaled, constant = (grouped * factors).flatten(0, 1), (grouped * shifts).sum((2, 3, 4)).flatten()
    bias = constant if module.bias is None else module.bias.detach().double() + constant
    module.weight, module.bias = nn.Parameter(scaled.float()), nn.Parameter(bias.float())
