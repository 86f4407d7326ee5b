"""`onnx:FILE`: a trained network in an ONNX file as a plain torch module, whose activations are `nn.ReLU` modules."""

import operator
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import fx, nn
from torch.func import functional_call

from neurokd.errors import NeurokdError
from neurokd.models.onnx_file import named, read_onnx
from neurokd.models.onnx_layers import LAYERS, Array, Operator

MAX_VALUES = 1 << 28  # of one tensor of one image, 1 GiB: a file of a few bytes may ask for any


def onnx_model(path: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    """The network in the ONNX file `path` with its weights; `path` is relative to the current folder.

    Layers are called `conv1`, `relu1`, `linear1`, ... in the order of the file; no name of the file enters the module.
    Dropout is left out. The module takes any number of images, also where the file is fixed to one.
    Raises NeurokdError for what `read_onnx` refuses, a node with settings that are not supported, other inputs than
    images of `input_shape` and other outputs than `[B, classes]`.
    """
    model = read_onnx(Path(path))
    try:
        return _Builder(model.graph, tuple(input_shape)).build(classes)
    except NeurokdError as error:
        raise NeurokdError(f"file '{path}': {error}") from error


class _Builder:
    """Walks a graph once, in its order, which the standard wants to be one of computation.

    `values` are what flows, `samples` the same of one image on torch's meta device, which has shapes alone.
    """

    def __init__(self, graph: onnx.GraphProto, input_shape: tuple[int, ...]) -> None:
        self.proto = graph
        self.constants: dict[str, Array] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.uses.update(value.name for value in graph.output)
        self.root, self.graph, self.layers = nn.Module(), fx.Graph(), Counter[str]()
        self.values: dict[str, fx.Node] = {}
        self.samples: dict[str, torch.Tensor] = {}
        self.products: dict[str, nn.Linear] = {}  # what MatMul gives, to which a bias may still be added
        self.batch = self._enter(input_shape)

    def _enter(self, input_shape: tuple[int, ...]) -> int | None:
        inputs = [value for value in self.proto.input if value.name not in self.constants]
        if len(inputs) != 1:
            raise NeurokdError(f"has {len(inputs)} inputs, {[value.name for value in inputs]}; allowed is one, images")
        kind, name = inputs[0].type.tensor_type, inputs[0].name
        dims = [dim.dim_value or None for dim in kind.shape.dim]
        fits = len(dims) == 4 and all(d in (None, size) for d, size in zip(dims[1:], input_shape, strict=True))
        if kind.elem_type != onnx.TensorProto.FLOAT or not fits:
            found = " x ".join(str(dim or "any") for dim in dims)
            raise NeurokdError(
                f"input {name!r} is {onnx.TensorProto.DataType.Name(kind.elem_type)} {found}; the data need "
                f"FLOAT any x {' x '.join(map(str, input_shape))}, pixels from 0 to 1"
            )
        self.values[name] = self.graph.placeholder("x")
        self.samples[name] = torch.empty(1, *input_shape, device="meta")
        return dims[0]

    def build(self, classes: int) -> nn.Module:
        """The module of the whole graph."""
        for node in self.proto.node:
            try:
                self._take(node)
            except NeurokdError:
                raise
            except Exception as error:  # torch refuses settings and shapes with errors of any kind
                reason = " ".join(str(error).split())
                raise NeurokdError(f"{named(node)}: torch refuses it ({reason}); export the network again") from error
        outputs = [value.name for value in self.proto.output]
        if len(outputs) != 1 or outputs[0] not in self.values:
            raise NeurokdError(f"has the outputs {outputs}; allowed is one, the logits of the images")
        shape = list(self.samples[outputs[0]].shape)
        if shape != [1, classes]:
            raise NeurokdError(
                f"gives {shape} for one image; the data have {classes} classes, so needed is [1, {classes}]"
            )
        self.graph.output(self.values[outputs[0]])
        return fx.GraphModule(self.root, self.graph, "OnnxNetwork")

    def _take(self, node: onnx.NodeProto) -> None:
        """Add one node."""
        if node.op_type == "Constant":
            self.constants[node.output[0]] = _constant(node)
            return
        flowing = [name for name in node.input if name in self.values]
        if node.op_type == "Identity" and not flowing:
            self.constants[node.output[0]] = self.constants[node.input[0]]
            return
        if any(self.uses[name] for name in node.output[1:]):
            raise NeurokdError(f"{named(node)}: its second output is used; allowed is the first alone")
        if not flowing or (flowing[0] != node.input[0] and node.op_type != "Add"):
            raise NeurokdError(
                f"{named(node)}: its first input does not come from the images; fold constants on export"
            )
        if node.op_type in ("Identity", "Dropout"):
            self._give(node, self.values[flowing[0]], self.samples[flowing[0]])
        elif node.op_type == "Add" and len(flowing) == 2:
            left, right = node.input
            total = self.graph.call_function(operator.add, (self.values[left], self.values[right]))
            if self.samples[left].shape != self.samples[right].shape:
                shapes = [list(self.samples[name].shape) for name in node.input]
                raise NeurokdError(f"{named(node)}: adds {shapes[0]} and {shapes[1]}; allowed are equal shapes")
            self._give(node, total, self.samples[left])
        elif node.op_type == "Add":
            self._add_bias(node, flowing[0])
        else:
            self._add_layer(node, flowing[0])

    def _add_layer(self, node: onnx.NodeProto, source: str) -> None:
        """A layer of its own, with weights of its own."""
        values = tuple(self.constants.get(name) for name in node.input)
        sample = self.samples[source]
        kind, make = LAYERS[node.op_type]
        layer = make(Operator(node, values, tuple(sample.shape), self.batch)).eval()
        self.layers[kind] += 1
        name = f"{kind}{self.layers[kind]}"
        self.root.add_module(name, layer)
        on_meta = {key: tensor.to("meta") for key, tensor in layer.state_dict().items()}
        after = functional_call(layer, on_meta, (sample,))
        if after.numel() > MAX_VALUES:
            raise NeurokdError(f"{named(node)}: gives {after.numel():,} values per image, allowed are {MAX_VALUES:,}")
        self._give(node, self.graph.call_module(name, (self.values[source],)), after)
        if node.op_type == "MatMul" and isinstance(layer, nn.Linear):
            self.products[node.output[0]] = layer

    def _add_bias(self, node: onnx.NodeProto, source: str) -> None:
        """A constant that is added to a product of its own becomes the bias of the linear layer."""
        layer = self.products.get(source)
        bias = self.constants[next(name for name in node.input if name != source)]
        if (
            layer is None
            or self.uses[source] != 1
            or bias.shape not in ((layer.out_features,), (1, layer.out_features))
        ):
            raise NeurokdError(
                f"{named(node)}: adds a constant {list(bias.shape)}; allowed are a bias behind MatMul, and two branches"
            )
        layer.bias = nn.Parameter(Operator(node, (bias,), (), None).weights(0).flatten())
        self._give(node, self.values[source], self.samples[source])

    def _give(self, node: onnx.NodeProto, value: fx.Node, sample: torch.Tensor) -> None:
        self.values[node.output[0]], self.samples[node.output[0]] = value, sample


def _constant(node: onnx.NodeProto) -> Array:
    """The value of a Constant node; NeurokdError for one that is neither a tensor nor integers."""
    attribute = node.attribute[0]
    if attribute.name == "value":
        return numpy_helper.to_array(attribute.t)
    if attribute.name in ("value_int", "value_ints"):
        return np.array(onnx.helper.get_attribute_value(attribute), dtype=np.int64)
    raise NeurokdError(f"{named(node)}: is given by {attribute.name!r}; allowed are 'value', 'value_int', 'value_ints'")
