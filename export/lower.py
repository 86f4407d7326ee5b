"""A trained spiking torch model becomes a float NIR graph: BN folded, dropout gone, every node with its shapes."""

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch
from torch import fx, nn

from neurokd.errors import NeurokdError
from neurokd.export.nir_graphs.reset import reset_metadata
from neurokd.export.nir_graphs.wiring import listing
from neurokd.export.passes.distribute_batch_norm import distribute_batch_norm
from neurokd.export.passes.fold_batch_norm import fold_batch_norm
from neurokd.export.passes.push_batch_norm import push_batch_norm
from neurokd.export.passes.split_thresholds import Scale
from neurokd.export.passes.weigh_shortcuts import weigh_shortcuts
from neurokd.export.tracing import ADDITIONS, first_line, flattens, pair, propagate, shape_of, trace
from neurokd.inputs import PIXELS, Encoding
from neurokd.spiking import LIFNeurons, SpikingNetwork

TIME_STEP_S = 1e-3  # NIR is continuous in time; one step of ours is this long there

_TRANSPARENT = (nn.Identity, nn.Dropout, nn.Dropout2d)


def lower(model: SpikingNetwork, input_shape: tuple[int, int, int], encoding: Encoding = PIXELS) -> nir.NIRGraph:
    """Lower a spiking network to NIR; `input_shape` is `(C, H, W)`, `model` is left as it is.

    Node names are module paths. Additions are edges that meet in one node; a shortcut without weights of its own gets
    a layer of ones (`weigh_shortcuts`). The graph's metadata carry `dt`, `timesteps` and, as `input_maximum` and
    `input_unit`, the `encoding` of its input. A layer of neurons with
    a trained threshold becomes two nodes, `path.spikes` and a `Scale`, `path.value` (see `fold_scale`).
    Raises NeurokdError naming the path of a layer that cannot be lowered, and what to use instead.
    """
    traced = _trace(model)
    distribute_batch_norm(traced, ADDITIONS)
    push_batch_norm(traced)
    fold_batch_norm(traced)
    _infer_shapes(traced, input_shape)
    nodes: dict[str, nir.NIRNode] = {}
    terms: dict[fx.Node, tuple[str, ...]] = {}  # the nodes whose sum an operation puts out
    edges: list[tuple[str, str]] = []
    for node in traced.graph.nodes:
        before = [term for source in node.all_input_nodes for term in terms[source]]
        if node.target in ADDITIONS:
            terms[node] = _summands(node, before)
            continue
        converted = _convert(traced, node)
        if converted is None:  # a layer that changes nothing
            terms[node] = tuple(before)
            continue
        name = _unique(str(node.target) if node.op == "call_module" else node.name, nodes)
        if len(before) > 1 and not isinstance(converted, nir.LIF | nir.IF | nir.Output):
            raise NeurokdError(_sum_not_before_neurons(name, before, nodes))
        nodes[name] = _with_shapes(converted, node)
        terms[node] = (name,)
        edges += [(source, name) for source in before]
    metadata = {
        "dt": TIME_STEP_S,
        "timesteps": model.timesteps,
        "input_maximum": encoding.maximum,
        "input_unit": encoding.unit,
    }
    return weigh_shortcuts(nir.NIRGraph(nodes=nodes, edges=edges, metadata=metadata, type_check=False))


def _trace(model: SpikingNetwork) -> fx.GraphModule:
    try:
        return trace(model.net)
    except Exception as error:  # whatever a user's forward raises when it meets a proxy
        raise NeurokdError(
            f"model {type(model.net).__name__}: its forward cannot be traced ({error}); "
            "control flow must not depend on the data, and activations must be nn.ReLU modules"
        ) from error


def _infer_shapes(traced: fx.GraphModule, input_shape: tuple[int, int, int]) -> None:
    try:
        propagate(traced, input_shape)
    except Exception as error:
        raise NeurokdError(f"model: cannot run on an input of shape {input_shape}: {first_line(error)}") from error


def _shape(node: fx.Node) -> tuple[int, ...]:
    shape = shape_of(node)
    if shape is None:
        raise NeurokdError(f"layer '{node.target}': its output is not one tensor; only tensors can be lowered")
    return shape


def _with_shapes(converted: nir.NIRNode, node: fx.Node) -> nir.NIRNode:
    """Set both types from the traced shapes (NIR's own inference takes kernels for square)."""
    before = _shape(node.all_input_nodes[0]) if node.all_input_nodes else _shape(node)
    converted.input_type = {"input": np.array(before)}
    converted.output_type = {"output": np.array(before if node.op == "output" else _shape(node))}
    return converted


def _summands(node: fx.Node, terms: list[str]) -> tuple[str, ...]:
    """The `terms` of an addition, which must be plain: neurons sum up what they read."""
    operands, listed = node.all_input_nodes, listing(terms)
    if len(operands) != 2 or len(node.args) != 2 or node.kwargs or len(set(terms)) != len(terms):
        raise NeurokdError(
            f"addition of {listed}: only outputs of different layers can be added, without factor or constant; put "
            "those into the weights and biases of the layers"
        )
    if any(_shape(operand) != _shape(node) for operand in operands):
        shapes = " and ".join(str(_shape(operand)) for operand in operands)
        raise NeurokdError(f"addition of {listed}: shapes {shapes} differ; add outputs of one shape")
    return tuple(terms)


def _sum_not_before_neurons(reader: str, terms: list[str], nodes: dict[str, nir.NIRNode]) -> str:
    if any(isinstance(nodes[term], nir.Conv2d | nir.Affine) for term in terms):
        return (
            f"residual addition of {listing(terms)}, read by '{reader}': only neurons can sum up; put nn.ReLU directly "
            "after the addition"
        )
    return (
        f"spike-element-wise addition of {listing(terms)}, read by '{reader}': it counts 0, 1 or 2, which no spike can "
        "carry; add before the neurons, as a ResNet does"
    )


def _unique(name: str, taken: dict[str, nir.NIRNode]) -> str:
    """A module that is called twice makes two nodes."""
    count = 2
    unique = name
    while unique in taken:
        unique, count = f"{name}_{count}", count + 1
    return unique


def _convert(traced: fx.GraphModule, node: fx.Node) -> nir.NIRNode | None:
    """The NIR node of one traced operation; None for one that changes nothing in evaluation."""
    if node.op == "placeholder":
        return nir.Input(np.array(_shape(node)))
    if node.op == "output":
        source = node.args[0]
        if not isinstance(source, fx.Node):
            raise NeurokdError("model: its forward returns more than one tensor; return the logits alone")
        return nir.Output(np.array(_shape(source)))
    if node.op == "call_module":
        return _convert_module(traced.get_submodule(str(node.target)), node)
    if flattens(node):
        return nir.Flatten({"input": np.array(_shape(node.all_input_nodes[0]))}, start_dim=0)
    called = getattr(node.target, "__name__", node.target)
    after = f" after '{node.all_input_nodes[0].target}'" if node.all_input_nodes else ""
    raise NeurokdError(f"function '{called}'{after}: cannot be lowered; use the layer module of torch.nn instead")


def _convert_module(module: nn.Module, node: fx.Node) -> nir.NIRNode | None:
    if isinstance(module, _TRANSPARENT):
        return None
    convert = _MODULES.get(type(module))
    if convert is None:
        hint = {"MaxPool2d": "average pooling or a strided convolution", "ReLU": "to_spiking before the export"}
        kinds = ", ".join(kind.__name__ for kind in _MODULES if kind is not Scale)
        instead = hint.get(type(module).__name__, f"one of {kinds}")
        raise NeurokdError(f"layer '{node.target}': {type(module).__name__} cannot run on loihi2; use {instead}")
    return convert(module, node)


def _convert_conv(module: nn.Conv2d, node: fx.Node) -> nir.NIRNode:
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        raise NeurokdError(
            f"layer '{node.target}': padding {module.padding!r} with mode '{module.padding_mode}' cannot be lowered; "
            "use numbers and zeros"
        )
    bias = np.zeros(module.out_channels, np.float32) if module.bias is None else _array(module.bias)
    shape = _shape(node.all_input_nodes[0])
    return nir.Conv2d(
        (shape[1], shape[2]), _array(module.weight), module.stride, module.padding, module.dilation, module.groups, bias
    )


def _convert_linear(module: nn.Linear, node: fx.Node) -> nir.NIRNode:
    if len(_shape(node.all_input_nodes[0])) != 1:
        shape = _shape(node.all_input_nodes[0])
        raise NeurokdError(f"layer '{node.target}': Linear on an input of shape {shape}; put nn.Flatten before it")
    bias = np.zeros(module.out_features, np.float32) if module.bias is None else _array(module.bias)
    return nir.Affine(_array(module.weight), bias)


def _convert_lif(module: LIFNeurons, node: fx.Node) -> nir.NIRNode:
    """`tau dv/dt = -v + r I`, one Euler step: `v + (dt / tau) (r I - v)` = decay v + I; with decay 1 `dv/dt = r I`.

    A soft reset and a membrane that does not start at 0 stand in the metadata (`nir_graphs.reset`), unless there is
    but one step, for which a hard reset gives the same spikes (`LIF.hard`).
    """
    p = module.deployed
    forget, metadata = 1.0 - p.decay, reset_metadata(p.reset, p.initial)
    if forget == 0.0:  # r, threshold, reset
        return nir.IF(*_constants(node, 1.0 / TIME_STEP_S, p.threshold, 0.0), metadata=metadata)
    constants = _constants(node, TIME_STEP_S / forget, 1.0 / forget, 0.0, p.threshold, 0.0)  # tau, r, leak, ...
    return nir.LIF(*constants, metadata=metadata)


def _constants(node: fx.Node, *values: float) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    return [np.full(_shape(node), value, np.float32) for value in values]


def _convert_scale(module: Scale, node: fx.Node) -> nir.NIRNode:
    return nir.Scale(*_constants(node, module.value))


def _convert_pool(module: nn.AvgPool2d, node: fx.Node) -> nir.NIRNode:
    kernel, stride, padding = pair(module.kernel_size), pair(module.stride), pair(module.padding)
    if padding != (0, 0) or module.ceil_mode or module.divisor_override:
        raise NeurokdError(f"layer '{node.target}': AvgPool2d with padding, ceil_mode or divisor_override; use none")
    return nir.AvgPool2d(np.array(kernel), np.array(stride), np.array(padding))


def _convert_adaptive_pool(module: nn.AdaptiveAvgPool2d, node: fx.Node) -> nir.NIRNode:
    before, after = _shape(node.all_input_nodes[0])[1:], _shape(node)[1:]
    if any(size % parts for size, parts in zip(before, after, strict=True)):
        raise NeurokdError(f"layer '{node.target}': pooling {before} to {after} is uneven; use sizes that divide")
    kernel = np.array([size // parts for size, parts in zip(before, after, strict=True)])
    return nir.AvgPool2d(kernel, kernel, np.zeros(2, int))


def _convert_flatten(module: nn.Flatten, node: fx.Node) -> nir.NIRNode:
    if module.start_dim != 1 or module.end_dim != -1:
        raise NeurokdError(f"layer '{node.target}': Flatten({module.start_dim}, {module.end_dim}); use nn.Flatten()")
    return nir.Flatten({"input": np.array(_shape(node.all_input_nodes[0]))}, start_dim=0)


def _array(tensor: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return tensor.detach().cpu().numpy().astype(np.float32)


_MODULES: dict[type, Callable[[Any, fx.Node], nir.NIRNode]] = {
    nn.Conv2d: _convert_conv,
    nn.Linear: _convert_linear,
    LIFNeurons: _convert_lif,
    Scale: _convert_scale,
    nn.AvgPool2d: _convert_pool,
    nn.AdaptiveAvgPool2d: _convert_adaptive_pool,
    nn.Flatten: _convert_flatten,
}
