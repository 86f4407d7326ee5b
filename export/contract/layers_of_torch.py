"""A torch model as layers: traced, nothing folded, nothing refused."""

from typing import Any

from torch import fx, nn

from neurokd.errors import NeurokdError
from neurokd.export.contract.layers import Layer, Neurons, Pool, Role, Shape
from neurokd.export.passes.split_thresholds import Scale
from neurokd.export.tracing import ADDITIONS, first_line, flattens, pair, propagate, shape_of, trace
from neurokd.spiking import LIFNeurons

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


def layers_of_torch(net: nn.Module, input_shape: Shape) -> tuple[list[Layer], str | None]:
    """The layers of `net` in the order in which they run on one image `(C, H, W)`, and why it cannot run, if so.

    Where the model cannot run on such an input, shapes from the failing layer on are None. Raises
    NeurokdError for a `forward` that cannot be traced.
    """
    try:
        traced = trace(net)
    except Exception as error:  # whatever a user's forward raises when it meets a proxy
        raise NeurokdError(first_line(error)) from error
    problem = _problem(traced, input_shape)
    layers: dict[fx.Node, Layer] = {}
    for node in traced.graph.nodes:
        if node.op == "get_attr":  # a parameter: what uses it is named instead
            continue
        layer = _layer(traced, node)
        layers[node] = layer.reads(*(layers[source] for source in node.all_input_nodes if source in layers))
    return list(layers.values()), problem


def _problem(traced: fx.GraphModule, input_shape: Shape) -> str | None:
    """Learn the shapes; the reason if a layer cannot run."""
    try:
        propagate(traced, input_shape)
    except Exception as error:  # whatever a user's layer raises
        return first_line(error)
    return None


def _layer(traced: fx.GraphModule, node: fx.Node) -> Layer:
    shape = shape_of(node)
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
    if flattens(node):
        return Layer(_caller(node), "Flatten", "flatten", node.target, shape)
    kind = "add" if node.target in ADDITIONS else getattr(node.target, "__name__", str(node.target))
    return Layer(_caller(node), kind, "other", node.target, shape)


def _caller(node: fx.Node) -> str:
    """Path of the module whose `forward` calls a function."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""


def _neurons(module: LIFNeurons) -> Neurons:
    lif = module.deployed
    return Neurons(lif.threshold, lif.decay, lif.reset, lif.initial)


def _pool(module: Any, node: fx.Node) -> Pool | None:
    if isinstance(module, nn.AvgPool2d):
        options = [name for name in ("ceil_mode", "divisor_override") if getattr(module, name)]
        options += ["padding"] if any(pair(module.padding)) else []
        return Pool(pair(module.kernel_size), pair(module.stride), " and ".join(options))
    before, after = shape_of(node.all_input_nodes[0]), shape_of(node)
    if before is None or after is None:
        return None
    height, width = (-(-size // parts) for size, parts in zip(before[-2:], after[-2:], strict=True))
    even = all(size % parts == 0 for size, parts in zip(before[-2:], after[-2:], strict=True))
    return Pool((height, width), (height, width), "" if even else f"uneven windows from {before[-2:]} to {after[-2:]}")
