"""A torch model as layers: traced, nothing folded, nothing refused."""

import operator
from typing import Any

import torch
from torch import fx, nn

from neurokd.errors import NeurokdError
from neurokd.export.layers import Layer, Neurons, Pool, Role, Shape
from neurokd.export.passes.split_thresholds import Scale, split_thresholds
from neurokd.spiking import LIFNeurons

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")

_ROLES: dict[type[nn.Module], Role] = {
    nn.Conv2d: "weights",
    nn.Linear: "weights",
    nn.BatchNorm1d: "norm",
    nn.BatchNorm2d: "norm",
    LIFNeurons: "neurons",
    Scale: "scale",
    nn.AvgPool2d: "pool",
    nn.AdaptiveAvgPool2d: "pool",
    nn.Flatten: "flatten",
    nn.Identity: "nothing",
    nn.Dropout: "nothing",
    nn.Dropout2d: "nothing",
}


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LIFNeurons | Scale) or super().is_leaf_module(m, module_qualified_name)


class _Shapes(fx.Interpreter):
    """Runs a graph and leaves the shape of every tensor in its node; torch's own ShapeProp prints tracebacks."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            n.meta["shape"] = tuple(result.shape)
        return result


def layers_of_torch(net: nn.Module, input_shape: Shape) -> tuple[list[Layer], str | None]:
    """The layers of `net` in the order in which they run on one image `(C, H, W)`, and why it cannot run, if so.

    Where the model cannot run on such an input, shapes from the failing layer on are None. Raises
    NeurokdError for a `forward` that cannot be traced.
    """
    traced = _trace(net)
    problem = _propagate(traced, input_shape)
    layers: dict[fx.Node, Layer] = {}
    for node in traced.graph.nodes:
        if node.op == "get_attr":  # a parameter: what uses it is named instead
            continue
        layer = _layer(traced, node)
        layers[node] = layer.reads(*(layers[source] for source in node.all_input_nodes if source in layers))
    return list(layers.values()), problem


def _trace(net: nn.Module) -> fx.GraphModule:
    net = split_thresholds(net).cpu().eval()
    try:
        return fx.GraphModule(net, _Tracer().trace(net))
    except Exception as error:  # whatever a user's forward raises when it meets a proxy
        raise NeurokdError(_first_line(error)) from error


def _propagate(traced: fx.GraphModule, input_shape: Shape) -> str | None:
    """Run one image of zeros to learn the shapes; the reason if that fails."""
    for module in traced.modules():
        if isinstance(module, LIFNeurons):
            module.axis.batch = 1
    try:
        with torch.no_grad():
            _Shapes(traced).run(torch.zeros(1, *input_shape))
    except Exception as error:  # whatever a user's layer raises
        return _first_line(error)
    return None


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _layer(traced: fx.GraphModule, node: fx.Node) -> Layer:
    shape = _shape(node)
    if node.op == "placeholder":
        kind = "input" if node is next(iter(traced.graph.nodes)) else "another input"
        return Layer(str(node.target), kind, "input", None, shape)
    if node.op == "output":
        returned = node.args[0]
        return Layer("", "output" if isinstance(returned, fx.Node) else type(returned).__name__, "output", None, shape)
    if node.op == "call_module":
        module = traced.get_submodule(str(node.target))
        role = _ROLES.get(type(module), "other")
        layer = Layer(str(node.target), "LIF" if role == "neurons" else type(module).__name__, role, module, shape)
        layer.neurons = _neurons(module) if isinstance(module, LIFNeurons) else None
        layer.pool = _pool(module, node) if role == "pool" else None
        return layer
    if _flattens(node):
        return Layer(_caller(node), "Flatten", "flatten", node.target, shape)
    kind = "add" if node.target in ADDITIONS else getattr(node.target, "__name__", str(node.target))
    return Layer(_caller(node), kind, "other", node.target, shape)


def _shape(node: fx.Node) -> Shape | None:
    """Without the batch; None where the output is not one tensor or the model did not get so far."""
    shape: Shape | None = node.meta.get("shape")
    return None if shape is None else shape[1:]


def _caller(node: fx.Node) -> str:
    """Path of the module whose `forward` calls a function."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""


def _flattens(node: fx.Node) -> bool:
    plain = (tuple(node.args[1:]) in ((1,), (1, -1)) and not node.kwargs) or node.kwargs == {"start_dim": 1}
    return node.target in (torch.flatten, "flatten") and plain


def _neurons(module: LIFNeurons) -> Neurons:
    lif = module.lif
    return Neurons(lif.threshold, lif.decay, lif.reset, lif.initial)


def _pool(module: Any, node: fx.Node) -> Pool | None:
    if isinstance(module, nn.AvgPool2d):
        options = [name for name in ("ceil_mode", "divisor_override") if getattr(module, name)]
        options += ["padding"] if any(_pair(module.padding)) else []
        return Pool(_pair(module.kernel_size), _pair(module.stride), " and ".join(options))
    before, after = _shape(node.all_input_nodes[0]), _shape(node)
    if before is None or after is None:
        return None
    height, width = (-(-size // parts) for size, parts in zip(before[-2:], after[-2:], strict=True))
    even = all(size % parts == 0 for size, parts in zip(before[-2:], after[-2:], strict=True))
    return Pool((height, width), (height, width), "" if even else f"uneven windows from {before[-2:]} to {after[-2:]}")


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))
