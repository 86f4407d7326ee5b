"""Builds an ONNX graph node by node; the same network always gives the same bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from neurokd import __version__
from neurokd.files import atomic_file

OPSET = 17  # the oldest that has every operator here; runtimes since 2022 read it
IR_VERSION = 8  # the file format of that opset
BATCH = "batch"  # the name of the dynamic axis

Shape = Sequence[int | str]


class Graph:
    """Nodes, constants, inputs and outputs of one graph, in the order in which they are added.

    A value that was computed before is not computed again: `node` returns it.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._known: dict[str, str] = {}

    def input(self, name: str, kind: int, shape: Shape) -> str:
        """Declare an input of the `TensorProto` type `kind`."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, value: str, kind: int, shape: Shape) -> None:
        """Declare `value` an output called `name`."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.int64, name: str | None = None) -> str:
        """A constant; those without a `name` are named after their value, and every name is kept once."""
        if name in self._constants:
            return str(name)
        array = np.asarray(values, dtype=dtype)
        name = name or f"{array.dtype}{list(array.shape)}:{','.join(map(str, array.ravel().tolist()))}"
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Apply `operator` and return the name of its one output."""
        key = repr((operator, inputs, sorted(attributes.items())))
        if key not in self._known:
            name = f"{operator}_{len(self._nodes)}"
            self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
            self._known[key] = name
        return self._known[key]

    def cast(self, value: str, kind: int) -> str:
        """`value` as the `TensorProto` type `kind`."""
        return self.node("Cast", value, to=kind)

    def stack(self, values: Sequence[str]) -> str:
        """`values` of one shape along a new first axis."""
        first = self.constant([0])
        return self.node("Concat", *(self.node("Unsqueeze", value, first) for value in values), axis=0)

    def model(self, name: str, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The finished model, checked by `onnx.checker` and with every shape inferred."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, list(self._constants.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="neurokd",
            producer_version=__version__,
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model


def write_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Write `model` to `path`, whole or not at all; the same model gives the same bytes."""
    with atomic_file(path) as part:
        part.write_bytes(model.SerializeToString(deterministic=True))


INT64, FLOAT, UINT8, INT32, BOOL = (
    int(kind) for kind in (TensorProto.INT64, TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT32, TensorProto.BOOL)
)
