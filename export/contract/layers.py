"""A model as the layers that rules look at, whether it came from torch or from NIR."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal[
    "input", "output", "weights", "norm", "neurons", "integrator", "pool", "scale", "flatten", "nothing", "other"
]
Shape = tuple[int, ...]

PASSED_OVER: frozenset[Role] = frozenset({"nothing", "norm", "pool", "scale", "flatten"})
"""Layers that are gone once the export has folded them into others."""


@dataclass(frozen=True)
class Neurons:
    """Parameters of a population; `differing` names those in which its neurons are not alike.

    `decay` is what stays of the membrane after one step, `initial` the membrane before the first
    step as a fraction of the threshold, `rest` the potential to which it leaks and is reset. `synapse` is
    what stays of the synaptic current; `per_channel` says that channels have thresholds of their own.
    """

    threshold: float
    decay: float
    reset: str = "hard"
    initial: float = 0.0
    rest: float = 0.0
    gain: float = 1.0
    differing: tuple[str, ...] = ()
    synapse: float = 0.0
    per_channel: bool = False


@dataclass(frozen=True)
class Pool:
    """Average pooling; `options` are those that make it something else than plain means of `kernel` windows."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    options: str = ""


@dataclass(eq=False)
class Layer:
    """One operation of a model: `path` is its module path, or that of the module which calls a function.

    `kind` is the name of its class or function, `op` the module, NIR node or function itself, `shape`
    that of its output without the batch (None: unknown). `sources` and `users` are its neighbours.
    """

    path: str
    kind: str
    role: Role
    op: Any
    shape: Shape | None = None
    neurons: Neurons | None = None
    pool: Pool | None = None
    sources: list["Layer"] = field(default_factory=list, repr=False)
    users: list["Layer"] = field(default_factory=list, repr=False)

    def reads(self, *sources: "Layer") -> "Layer":
        """Connect `sources` to this layer and return it."""
        for source in sources:
            self.sources.append(source)
            source.users.append(self)
        return self

    @property
    def input_shape(self) -> Shape | None:
        """Shape of its first input."""
        return self.sources[0].shape if self.sources else None

    @property
    def is_sum(self) -> bool:
        """Whether it adds up outputs of other layers and does nothing else."""
        return self.kind == "add" and len(self.sources) > 1

    @property
    def readers(self) -> list["Layer"]:
        """The layers that use its output, seen through those that change nothing."""
        return [reader for user in self.users for reader in (user.readers if user.role == "nothing" else [user])]

    @property
    def drivers(self) -> "list[Layer]":
        """The layers upstream whose sum it reads when the export has folded what it can, seen through additions."""
        return _neighbours(self, lambda layer: layer.sources)

    @property
    def driven(self) -> "list[Layer]":
        """The layers downstream that sum it up when the export has folded what it can, seen through additions."""
        return _neighbours(self, lambda layer: layer.users)

    @property
    def before(self) -> "Layer | None":
        """The nearest layer upstream that is left when the export has folded what it can."""
        return _nearest(self, lambda layer: layer.sources)

    @property
    def after(self) -> "Layer | None":
        """The nearest layer downstream that is left when the export has folded what it can."""
        return _nearest(self, lambda layer: layer.users)


def _neighbours(layer: Layer, step: Callable[[Layer], Sequence[Layer]]) -> list[Layer]:
    found: list[Layer] = []
    seen, waiting = {id(layer)}, list(step(layer))
    while waiting:
        here = waiting.pop(0)
        if id(here) in seen:
            continue
        seen.add(id(here))
        if here.role in PASSED_OVER or here.is_sum:
            waiting += step(here)
        else:
            found.append(here)
    return found


def _nearest(layer: Layer, step: Callable[[Layer], Sequence[Layer]]) -> Layer | None:
    found, seen = layer, {id(layer)}
    while step(found):
        found = step(found)[0]
        if found.role not in PASSED_OVER or id(found) in seen:
            return found
        seen.add(id(found))
    return None
