"""The accuracy waterfall: one level per stage, the drop written between two stages."""

from itertools import pairwise

from markupsafe import Markup

from neurokd.report import svg
from neurokd.report.numbers import percent, points, whole
from neurokd.report.waterfall import WaterfallStage

WIDTH, HEIGHT = 480.0, 300.0
LEFT, MARGIN, TOP, BOTTOM = 46.0, 8.0, 26.0, 244.0
FEW, WIDE = 4, 1016.0  # more stages than a few take the width of the page
LABELS = {"batch norm folded": "BN folded", "lava": "Lava"}  # where the stage is not called by its own name


def waterfall_chart(stages: tuple[WaterfallStage, ...]) -> Markup:
    """Levels on an axis that is zoomed to the data; the band behind a level is its 95 % interval."""
    bounds = [bound for stage in stages for bound in (stage.low, stage.high) if bound is not None]
    if not bounds:
        return Markup("")
    marks = [mark for mark in svg.ticks(min(bounds), max(bounds), 5) if mark <= 1.0 + 1e-9]
    low, high = marks[0], max(marks[-1], *bounds)
    width = WIDE if is_wide(stages) else WIDTH
    slot = (width - MARGIN - LEFT) / len(stages)
    parts = [_grid(mark, svg.place(mark, low, high, BOTTOM, TOP), marks[1] - marks[0], width) for mark in marks]
    parts += [_stage(stage, LEFT + slot * index, slot, low, high) for index, stage in enumerate(stages)]
    for index, (before, after) in enumerate(pairwise(stages), start=1):
        if before.accuracy is not None and after.accuracy is not None:
            heights = [svg.place(a, low, high, BOTTOM, TOP) for a in (before.accuracy, after.accuracy)]
            parts.append(_step(after, LEFT + slot * index, slot, heights[0], heights[1]))
    return svg.figure(parts, width, HEIGHT, "Accuracy at every stage from the teacher to Lava")


def is_wide(stages: tuple[WaterfallStage, ...]) -> bool:
    """Whether the chart takes the width of the page."""
    return len(stages) > FEW


def _grid(mark: float, y: float, step: float, width: float) -> Markup:
    label = f"{100 * mark:.{1 if step < 0.0099 else 0}f}"
    return svg.group([svg.line(LEFT, y, width - MARGIN, y, "grid"), svg.text(label, LEFT - 8, y + 4, "axis", "end")])


def _stage(stage: WaterfallStage, x: float, slot: float, low: float, high: float) -> Markup:
    middle, half = x + slot / 2, slot * 0.29
    name = svg.text(svg.fit(LABELS.get(stage.stage, stage.stage), slot), middle, BOTTOM + 24, "label", "middle")
    if stage.accuracy is None or stage.samples is None or stage.low is None or stage.high is None:
        box = svg.element(
            "rect", x=middle - half, y=TOP + 40, width=2 * half, height=BOTTOM - TOP - 80, rx=3, class_="absent"
        )
        note = svg.text("not run", middle, (TOP + BOTTOM) / 2 + 4, "axis", "middle")
        return svg.group([box, note, name], tip=f"{stage.stage}: {stage.note}")
    level, top, bottom = (svg.place(value, low, high, BOTTOM, TOP) for value in (stage.accuracy, stage.high, stage.low))
    band = svg.element("rect", x=middle - half, y=top, width=2 * half, height=bottom - top, rx=2, class_="band")
    bar = svg.element("rect", x=middle - half, y=level - 2, width=2 * half, height=4.0, rx=2, class_="level")
    value = svg.text(percent(stage.accuracy, stage.samples), middle, level - 8, "value", "middle")
    count = svg.text(f"n = {whole(stage.samples)}", middle, BOTTOM + 41, "axis", "middle")
    interval = f"{percent(stage.low, stage.samples)} to {percent(stage.high, stage.samples)}"
    accuracy = f"{percent(stage.accuracy, stage.samples)} of {whole(stage.samples)} samples"
    tip = f"{stage.stage}: {accuracy}, 95 % interval {interval}"
    return svg.group([band, bar, value, name, count], tip=tip)


def _step(after: WaterfallStage, border: float, slot: float, y_before: float, y_after: float) -> Markup:
    edge = slot * 0.19
    line = svg.path(
        [(border - edge, y_before), (border, y_before), (border, y_after), (border + edge, y_after)], "step"
    )
    if after.drop is None:
        return svg.group([line], tip="no drop is computed: the two stages saw different numbers of samples")
    label = points(after.drop, after.samples).replace(" points", "").replace("under ", "<")
    return svg.group([line, svg.text(label, border, min(y_before, y_after) - 8, _drop_class(after.drop), "middle")])


def _drop_class(drop: float) -> str:
    return "drop loss" if drop < 0 else "drop"
