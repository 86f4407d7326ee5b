"""What is wrong with one layer: each function looks for one thing and says in a noun phrase what it found."""

import nir
import numpy as np
from torch import nn

from neurokd.export.layers import Layer
from neurokd.export.target import Target

_NAMES = {
    "MaxPool2d": "max pooling",
    "max_pool2d": "max pooling",
    "cat": "concatenation",
    "add": "addition of a constant",
}
_SIZES = ("size", "dim", "getattr", "getitem")


def foreign_layer(layer: Layer, target: Target) -> str | None:
    """A layer or function that the export does not know."""
    if layer.role in ("input", "output") or layer.kind in target.layers or len(_tensors(layer)) > 1:
        return None
    kernel = getattr(layer.op, "kernel_size", None)
    size = "x".join(map(str, np.broadcast_to(kernel, 2))) if isinstance(kernel, int | tuple) else ""
    if layer.kind in _NAMES:
        return f"{_NAMES[layer.kind]} {size}".strip() + ("" if size else _after(layer))
    return f"function '{layer.kind}'{_after(layer)}" if _is_function(layer) else layer.kind


def recurrent(layer: Layer, target: Target) -> str | None:
    """An input that depends on the layer's own output."""
    own = [source for source in layer.sources if _reads_from(source, layer)]
    return f"recurrent connection from {_name(own[0])}" if own and len(layer.sources) > 1 else None


def joined_branches(layer: Layer, target: Target) -> str | None:
    """Several outputs that meet: a residual or spike-element-wise addition, a concatenation, a product."""
    tensors = _tensors(layer)
    if layer.role == "output" or len(tensors) < 2 or target.branches or recurrent(layer, target):
        return None
    sources = " and ".join(_name(source) for source in tensors)
    if isinstance(layer.op, nir.NIRNode):
        return f"sum of {sources} at {layer.kind.removeprefix('nir.')}"
    if layer.kind == "add":
        return f"{'spike-element-wise' if _carries_spikes(layer) else 'residual'} addition of {sources}"
    return f"{_NAMES.get(layer.kind, layer.kind)} of {sources}"


def forked_output(layer: Layer, target: Target) -> str | None:
    """An output that feeds several layers, unless they meet again: then that is what is wrong."""
    readers = layer.readers
    if layer.role in ("output", "nothing") or len(readers) < 2 or target.branches:
        return None
    if any(_reads_from(layer, reader) for reader in readers):  # a recurrent connection, named where it ends
        return None
    if set.intersection(*(_meetings(reader) for reader in readers)):
        return None
    return "output that feeds " + " and ".join(_name(reader) for reader in readers)


def unused_output(layer: Layer, target: Target) -> str | None:
    """An output that leads nowhere."""
    unused = layer.role not in ("output", "nothing") and not layer.readers
    return "output that nothing uses" if unused else None


def undriven(layer: Layer, target: Target) -> str | None:
    """A layer without an input."""
    return f"{layer.kind} that nothing drives" if layer.role not in ("input", "other") and not layer.sources else None


def several_inputs(layer: Layer, target: Target) -> str | None:
    """A second input."""
    return f"second input '{layer.path}'" if layer.kind == "another input" else None


def several_outputs(layer: Layer, target: Target) -> str | None:
    """Anything but one tensor of logits."""
    return f"forward that returns a {layer.kind}" if layer.role == "output" and layer.kind != "output" else None


def padding_mode(layer: Layer, target: Target) -> str | None:
    """Padding that is not a number of zeros."""
    padding, mode = getattr(layer.op, "padding", 0), getattr(layer.op, "padding_mode", "zeros")
    if layer.role != "weights" or (not isinstance(padding, str) and mode == "zeros"):
        return None
    return f"padding '{padding}'" if isinstance(padding, str) else f"padding with '{mode}'"


def flat_input(layer: Layer, target: Target) -> str | None:
    """A linear layer over an image."""
    shape = layer.input_shape
    if layer.kind not in ("Linear", "Affine") or shape is None or len(shape) == 1:
        return None
    return f"linear layer over an input of shape {shape}"


def partial_flatten(layer: Layer, target: Target) -> str | None:
    """Flattening of some axes only; NIR's axes are counted with the batch by some frameworks, without by others."""
    if isinstance(layer.op, nir.Flatten) and layer.input_shape is not None:
        last, dims = len(layer.input_shape), (int(layer.op.start_dim), int(layer.op.end_dim))
        whole = dims[0] in (0, 1, -last) and dims[1] in (-1, last - 1, last)
        return None if whole else f"flattening of axes {dims[0]} to {dims[1]} of {last}"
    if not isinstance(layer.op, nn.Flatten):
        return None
    dims = (layer.op.start_dim, layer.op.end_dim)
    return None if dims == (1, -1) else f"Flatten{dims}"


def batch_norm_place(layer: Layer, target: Target) -> str | None:
    """Batch normalisation that cannot be folded into the layer before it."""
    if layer.role != "norm":
        return None
    source = layer.sources[0] if layer.sources else None
    if source is None or source.role != "weights":
        return f"batch normalisation{_after(layer)}"
    if len(source.users) != 1:
        return f"batch normalisation after {_name(source)}, which feeds other layers too"
    if _shared(source):
        return f"batch normalisation after {_name(source)}, which is used more than once"
    return None if layer.op.running_mean is not None else "batch normalisation without running statistics"


def pooling_windows(layer: Layer, target: Target) -> str | None:
    """Windows that overlap, are padded, or drop pixels."""
    pool, shape = layer.pool, layer.input_shape
    if pool is None:
        return None
    kernel = f"average pooling {pool.kernel[0]}x{pool.kernel[1]}"
    if pool.options:
        return f"{kernel} with {pool.options}"
    if pool.kernel != pool.stride:
        return f"{kernel} with stride {pool.stride[0]}x{pool.stride[1]}"
    if shape is not None and any(size % part for size, part in zip(shape[-2:], pool.kernel, strict=True)):
        return f"{kernel} over a map of {shape[-2]}x{shape[-1]}, which drops pixels"
    return None


def pooling_place(layer: Layer, target: Target) -> str | None:
    """Pooling that no convolution or linear layer follows, into which it could be folded."""
    after = layer.after
    if layer.role != "pool" or after is None or after.role not in ("neurons", "integrator", "output"):
        return None
    return f"average pooling before {_name(after)}"


def scale_place(layer: Layer, target: Target) -> str | None:
    """A scale that no weights follow, into which it could be folded."""
    before, after = layer.before, layer.after
    if layer.role != "scale" or after is None or after.role not in ("neurons", "integrator", "output"):
        return None
    return f"scale before {_name(after)}" if before is not None and before.role == "weights" else None


def scale_values(layer: Layer, target: Target) -> str | None:
    """A scale with more than one value."""
    values = np.unique(np.asarray(getattr(layer.op, "scale", 1.0)))
    return f"scale with values from {values[0]:g} to {values[-1]:g}" if values.size > 1 else None


def neurons_missing(layer: Layer, target: Target) -> str | None:
    """Two layers with weights and no neurons between them."""
    before = layer.before
    if layer.role != "weights" or before is None or before.role != "weights":
        return None
    return f"{layer.kind} that follows {_name(before)} without neurons between"


def weights_missing(layer: Layer, target: Target) -> str | None:
    """Neurons that read pixels or spikes directly."""
    before = layer.before
    if layer.role != "neurons" or before is None or before.role not in ("neurons", "input"):
        return None
    return f"neurons that follow {_name(before)} without weights between"


def readout(layer: Layer, target: Target) -> str | None:
    """A network that does not end in weights, or whose logits are no vector."""
    before = layer.before
    if layer.role != "output" or len(layer.sources) != 1 or before is None or before.role == "other":
        return None
    if before.role not in ("weights", "integrator"):
        return f"network that ends in {_name(before)} ({before.kind})"
    return None if layer.shape is None or len(layer.shape) == 1 else f"network with logits of shape {layer.shape}"


def integrator_place(layer: Layer, target: Target) -> str | None:
    """A membrane that never spikes anywhere but behind the last weights."""
    before, after = layer.before, layer.after
    if layer.role != "integrator" or before is None or after is None:
        return None
    if after.role != "output":
        return f"{layer.kind} before {_name(after)}"
    return None if before.role in ("weights", "other") else f"{layer.kind} that follows {_name(before)}"


def _reads_from(layer: Layer, source: Layer) -> bool:
    """Whether the output of `source` reaches `layer`, or is its own."""
    seen, waiting = {id(layer)}, [layer]
    while waiting:
        here = waiting.pop()
        if here is source:
            return True
        waiting += [before for before in here.sources if id(before) not in seen]
        seen |= {id(before) for before in here.sources}
    return False


def _tensors(layer: Layer) -> list[Layer]:
    """The sources that are feature maps, not sizes."""
    return [source for source in layer.sources if source.kind not in _SIZES]


def _is_function(layer: Layer) -> bool:
    return isinstance(layer.op, str) or (callable(layer.op) and not isinstance(layer.op, nn.Module))


def _name(layer: Layer) -> str:
    return f"'{layer.path}'" if layer.path and layer.role != "output" else f"the {layer.kind}"


def _after(layer: Layer) -> str:
    return f" after {_name(layer.sources[0])}" if layer.sources else ""


def _carries_spikes(layer: Layer) -> bool:
    """Whether everything that reaches `layer` comes from neurons, summed or averaged at most."""
    seen, waiting = {id(layer)}, [layer]
    while waiting:
        here = waiting.pop()
        if here.role == "neurons":
            continue
        if not here.sources or not (here.role in ("nothing", "pool", "scale") or here.kind == "add"):
            return False
        waiting += [source for source in here.sources if id(source) not in seen]
        seen |= {id(source) for source in here.sources}
    return True


def _shared(layer: Layer) -> bool:
    """Whether the module of `layer` is called elsewhere too."""
    seen, waiting = {id(layer)}, [layer]
    while waiting:
        here = waiting.pop()
        for other in [*here.sources, *here.users]:
            if id(other) not in seen:
                if other.op is layer.op:
                    return True
                seen.add(id(other))
                waiting.append(other)
    return False


def _meetings(layer: Layer) -> set[int]:
    """The layers from here on downstream in which several outputs meet."""
    found: set[int] = set()
    seen, waiting = {id(layer)}, [layer]
    while waiting:
        here = waiting.pop()
        if len(here.sources) > 1:
            found.add(id(here))
        waiting += [user for user in here.users if id(user) not in seen]
        seen |= {id(user) for user in here.users}
    return found
