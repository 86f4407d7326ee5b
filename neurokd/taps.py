"""Features by module path: what a network computes on its way, read through hooks, so that no `forward` is edited.

A *point* is one call of an activation: `nn.ReLU` in the teacher, a layer of neurons in the student. The last point
at each spatial resolution ends a *stage*; the last point of each residual block ends a *block* (in a plain chain
every activation is a block of its own).
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from neurokd.conversion import ThresholdNeurons
from neurokd.errors import NeurokdError
from neurokd.evaluation import logits_per_step
from neurokd.qcfs import QCFS
from neurokd.spiking import LIFNeurons, SpikingNetwork

Position = Literal["after", "before"]

ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish,
    QCFS, LIFNeurons, ThresholdNeurons,
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """The `call`-th call of the module at `path`, which returns `[N, *shape]`."""

    path: str
    call: int
    shape: tuple[int, ...]

    @property
    def resolution(self) -> tuple[int, ...]:
        """Height and width of a feature map; the length of a vector."""
        return self.shape[1:] or self.shape

    def __str__(self) -> str:
        return f"'{self.path}' {'x'.join(map(str, self.shape))}"


class Recorder:
    """Keeps the features of chosen points of one network from its last forward pass.

    `features[k]` belongs to `points[k]` and is the output of its module, or with `position="before"`
    its first input. The hooks go with `close()`.
    """

    def __init__(self, model: nn.Module, points: Sequence[Point], position: Position) -> None:
        self.points = tuple(points)
        self._model = model
        self._kept: dict[tuple[str, int], tuple[torch.Tensor, int]] = {}
        self._calls: dict[str, int] = {}
        network = tapped(model)
        self._handles = [network.register_forward_pre_hook(self._start)]
        for path in {point.path for point in points}:
            self._handles.append(_watch(module_at(model, path), position, self._keeper(path)))

    @property
    def features(self) -> list[torch.Tensor]:
        """The features of the last forward pass; `[T, B, ...]` of a spiking network, `[B, ...]` of an ANN.

        Raises NeurokdError for a feature that the network has overwritten since.
        """
        for point in self.points:
            feature, version = self._kept[point.path, point.call]
            if _version(feature) != version:
                raise NeurokdError(
                    f"tap '{point.path}': the network overwrites this feature in place; "
                    "tap another module, or write the operation behind it without in-place"
                )
        return [_unfolded(self._model, self._kept[point.path, point.call][0]) for point in self.points]

    def clear(self) -> None:
        """Let the features go, and with them the memory of their graph."""
        self._kept.clear()

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self.clear()

    def _start(self, *_: Any) -> None:
        self._kept.clear()
        self._calls.clear()

    def _keeper(self, path: str) -> Callable[[torch.Tensor], None]:
        wanted = {point.call for point in self.points if point.path == path}

        def keep(feature: torch.Tensor) -> None:
            call = self._calls.get(path, 0)
            self._calls[path] = call + 1
            if call in wanted:
                self._kept[path, call] = feature, _version(feature)

        return keep


def tapped(model: nn.Module) -> nn.Module:
    """The module that paths count from: the converted ANN inside a spiking network, so teacher and student agree."""
    return model.net if isinstance(model, SpikingNetwork) else model


def module_at(model: nn.Module, path: str) -> nn.Module:
    """The module at a path; NeurokdError that shows the nearest ones if there is none.

    >>> module_at(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), "1")
    ReLU()
    """
    modules: dict[str, nn.Module] = dict(tapped(model).named_modules())
    if path in modules:
        return modules[path]
    near = difflib.get_close_matches(path, modules, n=3, cutoff=0.4) or list(modules)[1:6]
    raise NeurokdError(
        f"tap '{path}': {type(tapped(model)).__name__} has no such module; nearest are "
        + ", ".join(f"'{name}'" for name in near)
    )


def activations(model: nn.Module, images: torch.Tensor) -> list[Point]:
    """Every call of an activation in the order of one pass of `images` or frames, whose shapes it reads."""
    found = [path for path, module in tapped(model).named_modules() if isinstance(module, ACTIVATIONS)]
    outer = [path for path in found if path.rpartition(".")[0] not in found]  # neurons with a threshold hold neurons
    return _calls(model, outer, images, "after")


def last_calls(
    model: nn.Module, paths: Sequence[str], images: torch.Tensor, position: Position = "after"
) -> list[Point]:
    """The last call of each module in `paths`, with the shape of what `position` reads there.

    Raises NeurokdError for a path that does not exist, is never called or gives no tensor.
    """
    points = {point.path: point for point in _calls(model, paths, images, position)}
    for path in paths:
        if path not in points:
            raise NeurokdError(f"tap '{path}': its module is never called in a pass; name one that is")
    return [points[path] for path in paths]


def stages(points: Sequence[Point]) -> list[Point]:
    """The last point at each resolution.

    >>> [p.path for p in stages([Point("a", 0, (8, 4, 4)), Point("b", 0, (8, 4, 4)), Point("c", 0, (9, 2, 2))])]
    ['b', 'c']
    """
    following = [*points[1:], None]
    return [p for p, after in zip(points, following, strict=False) if not after or after.resolution != p.resolution]


def blocks(model: nn.Module, points: Sequence[Point]) -> list[Point]:
    """The last point of each block; in `nn.Sequential` and at the top of a network every activation is one."""
    ends: list[Point] = []
    for number, point in enumerate(points):
        parent = point.path.rpartition(".")[0]
        plain = not parent or isinstance(module_at(model, parent), nn.Sequential)
        later = any(p.path.rpartition(".")[0] == parent for p in points[number + 1 :])
        if plain or not later:
            ends.append(point)
    return ends


def _calls(model: nn.Module, paths: Sequence[str], images: torch.Tensor, position: Position) -> list[Point]:
    points: list[Point] = []

    def note(path: str, feature: object) -> None:
        if not isinstance(feature, torch.Tensor):
            raise NeurokdError(f"tap '{path}': gives a {type(feature).__name__}, no tensor; name a module inside it")
        call = sum(point.path == path for point in points)
        points.append(Point(path, call, tuple(feature.shape[1:])))

    once = dict.fromkeys(paths)  # two pairs may share a module
    handles = [_watch(module_at(model, path), position, partial(note, path)) for path in once]
    try:
        with evaluating(model), torch.no_grad():
            logits_per_step(model, images)
    finally:
        for handle in handles:
            handle.remove()
    return points


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module of `model` into evaluation mode while the block runs, then back into its own."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _watch(module: nn.Module, position: Position, see: Callable[[torch.Tensor], None]) -> Any:
    """Show `see` what every call of `module` returns or, before it, is given; an in-place module's input is copied."""

    def before(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        see(inputs[0].clone() if getattr(module, "inplace", False) else inputs[0])

    def after(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        see(output)

    return module.register_forward_pre_hook(before) if position == "before" else module.register_forward_hook(after)


def _version(feature: torch.Tensor) -> int:
    """How often a tensor was written to in place; validation runs without that counter."""
    return 0 if feature.is_inference() else feature._version


def _unfolded(model: nn.Module, feature: torch.Tensor) -> torch.Tensor:
    if not isinstance(model, SpikingNetwork):
        return feature
    return feature.unflatten(0, (model.axis.steps_in(feature), -1))  # type: ignore[no-any-return]
