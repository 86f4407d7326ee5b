"""What is wrong with one layer: each function looks for one thing and says in a noun phrase what it found."""

import nir
import numpy as np
from torch import nn

from neurokd.export.contract.layers import Layer
from neurokd.export.contract.target import Target
from neurokd.export.passes.push_batch_norm import pads

_NAMES = {
    "MaxPool2d": "max pooling",
    "max_pool2d": "max pooling",
    "cat": "concatenation",
    "add": "addition of a constant",
}
_SUMMING = ("neurons", "integrator", "output")
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
    """Outputs that meet otherwise than in a sum: a concatenation, a product."""
    tensors = _tensors(layer)
    if layer.role != "other" or len(tensors) < 2 or layer.is_sum or isinstance(layer.op, nir.NIRNode):
        return None
    return f"{_NAMES.get(layer.kind, layer.kind)} of {_listed(tensors)}"


def spike_addition(layer: Layer, target: Target) -> str | None:
    """A sum of spikes that something else than neurons reads: spikes are 0 or 1, their sum is not."""
    if not _misplaced_sum(layer) or not _carries_spikes(layer):
        return None
    return f"spike-element-wise addition of {_listed(layer.sources)}, 0, 1 or 2,"


def addition_place(layer: Layer, target: Target) -> str | None:
    """A sum of currents that something else than neurons reads."""
    if not _misplaced_sum(layer) or _carries_spikes(layer):
        return None
    return f"residual addition of {_listed(layer.sources)} without neurons behind it"


def _misplaced_sum(layer: Layer) -> bool:
    """Whether this is a sum that not only neurons or the output read; of additions in a row only the last counts."""
    if isinstance(layer.op, nir.NIRNode):
        summing = layer.role in ("neurons", "integrator", "output")
        return len(layer.sources) > 1 and not summing and not any(_reads_from(one, layer) for one in layer.sources)
    readers = [reader for user in layer.readers for reader in (user.readers if user.role == "norm" else [user])]
    return layer.is_sum and any(not reader.is_sum and reader.role not in ("neurons", "output") for reader in readers)


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
    """Batch normalisation that can be folded neither into the layer before it nor into those that read it."""
    if layer.role != "norm":
        return None
    source, measured = _behind_norms(layer), layer.op.running_mean is not None
    if measured and source is not None and source.is_sum and len(source.users) == 1:
        return None
    followed = source is not None and source.role == "weights" and len(source.users) == 1 and not _shared(source)
    readers = [] if followed else _weights_that_read(layer)
    if measured and readers and not any(pads(reader.op) or _shared(reader) for reader in readers):
        return None
    if padded := [reader for reader in readers if pads(reader.op)]:
        return f"batch normalisation{_after(layer)}, before the padded {_name(padded[0])},"
    if source is None or source.role != "weights":
        return f"batch normalisation{_after(layer)}"
    if len(source.users) != 1:
        return f"batch normalisation after {_name(source)}, which feeds other layers too"
    if _shared(source):
        return f"batch normalisation after {_name(source)}, which is used more than once"
    return None if measured else "batch normalisation without running statistics"


def _behind_norms(layer: Layer) -> Layer | None:
    """What a normalisation reads, seen through those that it alone reads."""
    source = layer.sources[0] if layer.sources else None
    while source is not None and source.role == "norm" and len(source.users) == 1:
        source = source.sources[0] if source.sources else None
    return source


def _weights_that_read(layer: Layer) -> list[Layer]:
    """The layers of weights that read `layer`, through what keeps a normalisation as it is; none if others read it."""
    found = []
    for user in layer.users:
        passed = user.role in ("nothing", "pool", "flatten") or (
            user.role == "norm" and user.op.running_mean is not None
        )
        further = _weights_that_read(user) if passed else [user] if user.role == "weights" else []
        if not further:
            return []
        found += further
    return found


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
    """Pooling that no convolution or linear layer follows, into which it could be folded, and that is no shortcut."""
    if layer.role != "pool":
        return None
    wrong = [after for after in layer.driven if after.role in _SUMMING and not _is_shortcut(layer, after)]
    return f"average pooling before {_name(wrong[0])}" if wrong else None


def scale_place(layer: Layer, target: Target) -> str | None:
    """A scale of currents, which no weights follow, into which it could be folded."""
    if layer.role != "scale" or not any(before.role == "weights" for before in layer.drivers):
        return None
    wrong = [after for after in layer.driven if after.role in _SUMMING]
    return f"scale before {_name(wrong[0])}" if wrong else None


def _is_shortcut(layer: Layer, after: Layer) -> bool:
    """Whether `layer` passes spikes to `after`, where they meet the output of other layers."""
    return len(after.drivers) > 1 and not any(before.role == "weights" for before in layer.drivers)


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
    """Neurons that read pixels or spikes directly and nothing else."""
    before = layer.drivers
    if layer.role != "neurons" or len(before) != 1 or before[0].role not in ("neurons", "input"):
        return None
    return f"neurons that follow {_name(before[0])} without weights between"


def readout(layer: Layer, target: Target) -> str | None:
    """A network that does not end in weights, or whose logits are no vector."""
    before = layer.drivers
    if layer.role != "output" or layer.kind != "output" or any(one.role == "other" for one in before):
        return None
    allowed = ("weights",) if len(before) > 1 else ("weights", "integrator")
    wrong = [one for one in before if one.role not in allowed]
    if wrong:
        return f"network that ends in {_name(wrong[0])} ({wrong[0].kind})"
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


def _listed(layers: list[Layer]) -> str:
    return " and ".join(_name(layer) for layer in layers)


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
