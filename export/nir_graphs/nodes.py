"""NIR nodes from the plain values that a file holds: what does not fit is refused, with the node's name."""

from typing import Any

import nir
import numpy as np

from neurokd.errors import NeurokdError

MAX_AXES = 4  # batch, channels, height, width
MAX_EXTENT = 1 << 26  # of one axis
_KINDS = (
    "Affine", "AvgPool2d", "Conv1d", "Conv2d", "CubaLI", "CubaLIF", "Delay", "Flatten", "I", "IF", "Input", "LI", "LIF",
    "Linear", "NIRGraph", "Output", "Scale", "SumPool2d", "Threshold",
)  # fmt: skip
_WEIGHT_AXES = {"Affine": 2, "Linear": 2, "Conv1d": 3, "Conv2d": 4}
_AT_LEAST = {"stride": 1, "dilation": 1, "kernel_size": 1, "groups": 1, "padding": 0, "input_shape": 1, "shape": 1}
_ONE = ("groups", "start_dim", "end_dim")
_SHAPES = ("shape", "input_type")
_PAIRS = ("kernel_size", "stride", "padding")  # of pooling, where one number stands for both axes
_INTEGERS = (*_AT_LEAST, *_ONE, *_SHAPES)
_REFUSALS = (AssertionError, AttributeError, LookupError, OverflowError, TypeError, ValueError)


def graph_of_values(values: dict[str, Any], name: str = "") -> nir.NIRGraph:
    """The graph whose nodes have the fields `values`, as `nir.serialization.hdf2dict` returns them; types unchecked.

    Raises NeurokdError naming the node, `outer.inner` within graphs, that NIR does not know or whose fields are no
    numbers, have another number of axes, or are out of any range; and for an edge that leads nowhere.
    """
    found, nodes, metadata = values.get("nodes"), {}, values.get("metadata", {})
    if values.get("type") != "NIRGraph" or not isinstance(found, dict) or not isinstance(metadata, dict):
        raise NeurokdError(f"{_where(name)}: is no graph with nodes; allowed is a NIRGraph")
    for key, fields in found.items():
        inner = f"{name}.{key}" if name else str(key)
        kind = fields.get("type") if isinstance(fields, dict) else None
        if kind not in _KINDS:
            raise NeurokdError(f"layer '{inner}': its type is {kind!r:.40}, which NIR does not know")
        nodes[key] = graph_of_values(fields, inner) if kind == "NIRGraph" else _node(fields, kind, inner)
    return nir.NIRGraph(nodes, _edges(values.get("edges", ()), nodes, name), metadata=metadata, type_check=False)


def _where(name: str) -> str:
    return f"layer '{name}'" if name else "graph"


def _edges(values: Any, nodes: dict[str, nir.NIRNode], name: str) -> list[tuple[str, str]]:
    array = np.asarray(values, dtype=object)
    if array.size and (array.ndim != 2 or array.shape[1] != 2):
        raise NeurokdError(f"{_where(name)}: its edges have shape {array.shape}, allowed are pairs of names")
    pairs = [tuple(_text(end) for end in pair) for pair in array.reshape(-1, 2)]
    unknown = sorted({end for pair in pairs for end in pair} - set(nodes))
    if unknown:
        raise NeurokdError(f"{_where(name)}: edges name nodes that are not there: {unknown[:5]}")
    return [(source, target) for source, target in pairs]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _node(fields: dict[str, Any], kind: str, name: str) -> nir.NIRNode:
    for key, value in fields.items():
        if key not in ("type", "metadata"):
            _check_field(key, value, kind, name)
    fields = {key: _sizes(key, value) if key in _INTEGERS else value for key, value in fields.items()}
    try:
        if kind in ("AvgPool2d", "SumPool2d"):
            fields |= {key: np.broadcast_to(fields[key], 2) for key in _PAIRS}
        node: nir.NIRNode = nir.dict2NIRNode(fields)
    except _REFUSALS as error:  # parameters of other shapes, a field that is missing or too many
        raise NeurokdError(f"layer '{name}': is no {kind} ({str(error).splitlines()[0]:.120})") from error
    if not isinstance(node.metadata, dict):
        raise NeurokdError(f"layer '{name}': its metadata are no fields of a name and a value")
    return node


def _check_field(key: str, value: Any, kind: str, name: str) -> None:
    if key == "padding" and isinstance(value, str) and kind in ("Conv1d", "Conv2d"):
        return  # "same" or "valid", which NIR checks
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.size == 0:
        found = f"{array.dtype} of shape {array.shape}"
        raise NeurokdError(f"layer '{name}': its {key} is {found}, allowed are numbers")
    axes = _WEIGHT_AXES.get(kind) if key == "weight" else None
    if array.ndim != (axes or array.ndim) or array.ndim > MAX_AXES:
        raise NeurokdError(f"layer '{name}': its {key} has {array.ndim} axes, allowed are {axes or f'0..{MAX_AXES}'}")
    if key not in _INTEGERS:
        return
    low = _AT_LEAST.get(key, -MAX_AXES if key in _ONE else 1)
    sizes, whole = array.astype(np.float64), array.ndim <= 1 and array.size <= (1 if key in _ONE else MAX_AXES)
    if (
        not whole
        or not (np.isfinite(sizes) & (sizes == np.floor(sizes)) & (sizes >= low) & (sizes <= MAX_EXTENT)).all()
    ):
        raise NeurokdError(
            f"layer '{name}': its {key} is {array.tolist()!r:.60}, allowed are whole numbers from {low} on"
        )


def _sizes(key: str, value: Any) -> Any:
    """Whole numbers, whatever they were stored as; a shape has axes, of which a lone number is one."""
    if isinstance(value, str):
        return value
    sizes = np.asarray(value).astype(np.int64)
    if key in _SHAPES:
        return np.atleast_1d(sizes)
    return int(sizes.reshape(())) if sizes.ndim == 0 or key in _ONE else sizes
