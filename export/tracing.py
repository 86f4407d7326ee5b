"""Trace a torch model: the graph of its layers, and the shape that each of them gives."""

import operator
from typing import Any

import torch
from torch import fx, nn

from neurokd.export.passes.split_thresholds import Scale, split_thresholds
from neurokd.spiking import LIFNeurons

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Neurons and spike values stay whole."""
        return isinstance(m, LIFNeurons | Scale) or super().is_leaf_module(m, module_qualified_name)


class _Shapes(fx.Interpreter):
    """Runs a graph and leaves the shape of every tensor in its node; torch's own ShapeProp prints tracebacks."""

    def run_node(self, n: fx.Node) -> Any:
        """Run one operation and note its shape."""
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            n.meta["shape"] = tuple(result.shape)
        return result


def trace(net: nn.Module) -> fx.GraphModule:
    """The graph of a copy of `net` in evaluation mode; raises whatever its `forward` does when it meets a proxy."""
    net = split_thresholds(net).cpu().eval()
    return fx.GraphModule(net, _Tracer().trace(net))


def propagate(traced: fx.GraphModule, input_shape: tuple[int, ...]) -> None:
    """Run one image of zeros `(C, H, W)` to learn the shapes; raises whatever a layer does that it does not fit."""
    for module in traced.modules():
        if isinstance(module, LIFNeurons):
            module.axis.batch = 1
    with torch.no_grad():
        _Shapes(traced).run(torch.zeros(1, *input_shape))


def shape_of(node: fx.Node) -> tuple[int, ...] | None:
    """Shape of a node's output without the batch; None where that is not one tensor or the run did not get so far."""
    shape: tuple[int, ...] | None = node.meta.get("shape")
    return None if shape is None else shape[1:]


def flattens(node: fx.Node) -> bool:
    """Whether a function call flattens everything but the batch."""
    plain = (tuple(node.args[1:]) in ((1,), (1, -1)) and not node.kwargs) or node.kwargs == {"start_dim": 1}
    return node.target in (torch.flatten, "flatten") and plain


def pair(value: Any) -> tuple[int, int]:
    """Height and width of a torch setting that is one number or two."""
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def first_line(error: BaseException) -> str:
    """The first line of a message that says something, else the name of the error."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
