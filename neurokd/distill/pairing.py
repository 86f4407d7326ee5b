"""Which feature of the student is compared with which of the teacher."""

from collections.abc import Sequence

import torch
from torch import nn

from neurokd.distill.features import FeatureObjective, ShapePair, TapPair
from neurokd.distill.objective import FeaturePair
from neurokd.errors import NeurokdError
from neurokd.taps import Point, Recorder, activations, blocks, last_calls, stages


class Pairing:
    """Reads the features that a method compares from both networks, pass by pass.

    The taps are found in one pass of `images` `[B, C, H, W]`, or frames `[T, B, C, H, W]`, through the student and of
    `shown`, unless given the same, through the teacher. The teacher's features are averaged over frames.
    Raises NeurokdError for a path that does not exist, or ends of stages or blocks that cannot be paired.
    """

    def __init__(
        self,
        objective: FeatureObjective,
        student: nn.Module,
        teacher: nn.Module,
        images: torch.Tensor,
        shown: torch.Tensor | None = None,
    ) -> None:
        shown = images if shown is None else shown
        pairs = _pairs(objective, student, teacher, images, shown)
        self._frames = shown.shape[0] if shown.ndim == 5 else 1
        self.shapes = [ShapePair(_name(s, t), s.shape, t.shape) for s, t in pairs]
        self._student = Recorder(student, [s for s, _ in pairs], objective.position)
        self._teacher = Recorder(teacher, [t for _, t in pairs], objective.position)

    def features(self) -> list[FeaturePair]:
        """The features of the last pass of both networks."""
        return [
            FeaturePair(shape.name, s, t.detach().unflatten(0, (self._frames, -1)).mean(dim=0))
            for shape, s, t in zip(self.shapes, self._student.features, self._teacher.features, strict=True)
        ]

    def clear(self) -> None:
        """Let the features of the last pass go."""
        self._student.clear()
        self._teacher.clear()

    def close(self) -> None:
        """Remove the hooks from both networks."""
        self._student.close()
        self._teacher.close()


def _pairs(
    objective: FeatureObjective,
    student: nn.Module,
    teacher: nn.Module,
    images: torch.Tensor,
    shown: torch.Tensor,
) -> list[tuple[Point, Point]]:
    if not isinstance(objective.taps, str):
        taps = [TapPair(student=tap, teacher=tap) if isinstance(tap, str) else tap for tap in objective.taps]
        ours = last_calls(student, [tap.student for tap in taps], images, objective.position)
        theirs = last_calls(teacher, [tap.teacher for tap in taps], shown, objective.position)
        return list(zip(ours, theirs, strict=True))
    ours, theirs = _ends(objective.taps, student, images), _ends(objective.taps, teacher, shown)
    if objective.taps == "last":
        ours, theirs = ours[-1:], theirs[-1:]
    if not ours or not theirs:
        raise NeurokdError(
            f"taps '{objective.taps}': the {'teacher' if ours else 'student'} calls no activation module; "
            "name modules by path, e.g. taps: [{student: relu2, teacher: layer2}]"
        )
    return list(zip(ours, theirs, strict=True)) if len(ours) == len(theirs) else _by_resolution(ours, theirs)


def _ends(kind: str, model: nn.Module, images: torch.Tensor) -> list[Point]:
    points = activations(model, images)
    if kind == "last":
        points = [point for point in points if len(point.shape) == 3] or points
    return blocks(model, points) if kind == "blocks" else stages(points)


def _by_resolution(ours: Sequence[Point], theirs: Sequence[Point]) -> list[tuple[Point, Point]]:
    """Each of the student's with the teacher's last one of the same height and width."""
    last = {point.resolution: point for point in theirs}
    pairs = [(point, last[point.resolution]) for point in ours if point.resolution in last]
    if not pairs:
        raise NeurokdError(
            f"taps: the student's features {_listed(ours)} and the teacher's {_listed(theirs)} differ in number and "
            "share no resolution; name pairs, e.g. taps: [{student: relu2, teacher: blocks.2_2.relu2}]"
        )
    return pairs


def _name(student: Point, teacher: Point) -> str:
    return student.path if student.path == teacher.path else f"{student.path} / {teacher.path}"


def _listed(points: Sequence[Point]) -> str:
    return ", ".join(str(point) for point in points)
