"""The handful of figures at the top of a report."""

from dataclasses import dataclass

from neurokd.report.numbers import MINUS, big, percent, points, whole
from neurokd.report.schema import Manifest, Result
from neurokd.report.waterfall import Totals, WaterfallStage

_NAMES = {
    "lava": "Lava",
    "quantised": "the integer network",
    "float student": "the float student",
    "teacher": "the teacher",
}


@dataclass(frozen=True)
class Tile:
    """One figure with its name and one line that qualifies it."""

    name: str
    figure: str
    note: str


def tiles(
    result: Result, manifest: Manifest | None, stages: tuple[WaterfallStage, ...], totals: Totals | None
) -> tuple[Tile, ...]:
    """Accuracy, what was lost, steps, size, activity and operations, as far as they are known."""
    known = [_accuracy(stages), _lost(stages), _steps(result, manifest)]
    if totals:
        known += [_size(totals), _activity(totals), _operations(result, totals)]
    return tuple(tile for tile in known if tile)


def _accuracy(stages: tuple[WaterfallStage, ...]) -> Tile | None:
    measured = [stage for stage in stages if stage.accuracy is not None and stage.samples]
    if not measured:
        return None
    last = next((stage for stage in measured if stage.stage == "quantised"), measured[-1])
    where = f"{_NAMES.get(last.stage, last.stage)}, {whole(last.samples or 0)} test samples"
    return Tile("Test accuracy", percent(last.accuracy or 0.0, last.samples), where)


def _lost(stages: tuple[WaterfallStage, ...]) -> Tile | None:
    by_name = {stage.stage: stage for stage in stages if stage.accuracy is not None}
    before, after = by_name.get("float student"), by_name.get("quantised")
    if not before or not after:
        return Tile("From float to integers", "not known", "the network is not exported yet")
    if before.samples != after.samples:
        return Tile("From float to integers", "not known", "the two stages saw different numbers of samples")
    drop = (after.accuracy or 0.0) - (before.accuracy or 0.0)
    figure = points(drop, after.samples).replace(" points", "")
    return Tile(
        "From float to integers", figure, f"percentage points; {MINUS} is a loss" if drop else "points of accuracy lost"
    )


def _steps(result: Result, manifest: Manifest | None) -> Tile:
    steps = manifest.timesteps if manifest else result.timesteps
    return Tile("Time steps", str(steps), "network updates for one sample")


def _size(totals: Totals) -> Tile:
    return Tile("Neurons", whole(totals.neurons), f"{big(totals.synapses)} synapses")


def _activity(totals: Totals) -> Tile | None:
    if totals.spikes is None or totals.firing_rate is None:
        return None
    return Tile("Spikes per sample", big(totals.spikes), f"mean firing rate {percent(totals.firing_rate)}")


def _operations(result: Result, totals: Totals) -> Tile | None:
    if totals.effective_acs is None or totals.effective_macs is None:
        return None
    teacher = f"; the teacher needs {big(result.teacher.macs)} MACs" if result.teacher and result.teacher.macs else ""
    macs = f"effective ACs per sample, and {big(totals.effective_macs)} MACs{teacher}"
    return Tile("Synaptic operations", big(totals.effective_acs), macs)
