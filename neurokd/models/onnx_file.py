"""Reads an ONNX file that anybody may have written: bytes become tensors and a list of known operators, or one error.

Nothing of the file is executed, and no name in it becomes code or the path of a file outside of its folder. That is
why this is ours: onnx2torch 1.5.15 pastes the names of nodes into the Python source of the module that it returns.
"""

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import external_data_helper

from neurokd.errors import NeurokdError

OPERATORS = (
    "Add", "AveragePool", "BatchNormalization", "Constant", "Conv", "Dropout", "Flatten", "Gemm", "GlobalAveragePool",
    "Identity", "MatMul", "MaxPool", "ReduceMean", "Relu", "Reshape",
)  # fmt: skip


def read_onnx(path: Path) -> onnx.ModelProto:
    """The model in `path`, its weights in memory, with nodes of `OPERATORS` alone.

    Raises NeurokdError for a file that is missing, damaged or breaks the standard, the first node of another
    operator, and weights in a file outside of the folder of `path`.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise NeurokdError(f"file '{path}': {error.strerror or error}; give the path of an ONNX file") from error
    except DecodeError as error:
        raise NeurokdError(f"file '{path}': is no ONNX file, or a part of one; export it again") from error
    if not model.graph.node:
        raise NeurokdError(f"file '{path}': holds no graph; give an ONNX file with a trained network")
    for node in model.graph.node:
        if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
            raise NeurokdError(f"file '{path}': {named(node)} is not supported; allowed are {', '.join(OPERATORS)}")
    try:
        _take_external_data(model, path)
        onnx.checker.check_model(model)
    except NeurokdError:
        raise
    except Exception as error:  # the checker and the reader of external data raise what they like
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise NeurokdError(f"file '{path}': breaks the ONNX standard ({reason}); export it again") from error
    return model


def named(node: onnx.NodeProto) -> str:
    """How errors call a node: by its name, else by what it gives, and its operator.

    >>> named(onnx.helper.make_node("Relu", ["x"], ["y"], name="relu1"))
    "node 'relu1' (Relu)"
    """
    operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    return f"node {(node.name or ', '.join(node.output))!r} ({repr(operator)[1:-1]})"  # on one line, whatever it holds


def _take_external_data(model: onnx.ModelProto, path: Path) -> None:
    """Read the tensors that lie in files beside `path`; NeurokdError for one that lies elsewhere."""
    folder = path.parent.resolve()
    for tensor in _tensors(model):
        if not external_data_helper.uses_external_data(tensor):
            continue
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        file = (folder / location).resolve()
        if not file.is_relative_to(folder):
            raise NeurokdError(
                f"file '{path}': tensor {tensor.name!r} lies in {location!r}, outside of the folder of the file; "
                "allowed are files beside it"
            )
        if not file.is_file():
            raise NeurokdError(
                f"file '{path}': tensor {tensor.name!r} lies in {location!r}, which is missing; put it beside the file"
            )
        external_data_helper.load_external_data_for_tensor(tensor, str(folder))


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))
