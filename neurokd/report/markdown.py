"""The report as Markdown: the same tables without the drawings, for pull requests and notebooks."""

import re

from neurokd.report.chart_waterfall import LABELS
from neurokd.report.markdown_tables import plain, table
from neurokd.report.numbers import big, energy, percent, points, shape, whole
from neurokd.report.schema import FirstLoss, Manifest
from neurokd.report.summary import Summary
from neurokd.report.waterfall import WaterfallStage

_WORDS = {"passed": "VERIFIED", "unverified": "NOT VERIFIED", "failed": "FAILED"}


def to_markdown(summary: Summary) -> str:
    """The whole document; text from the run's files is escaped."""
    result, manifest = summary.run.result, summary.run.manifest
    parts = [
        f"# {plain(result.name)}",
        f"**{_WORDS[summary.verdict.status]}: {plain(summary.verdict.headline)}**",
        plain(summary.verdict.detail),
        "\n".join(f"- {plain(tile.name)}: **{plain(tile.figure)}** ({plain(tile.note)})" for tile in summary.tiles),
        "## Accuracy",
        table(
            ("stage", "accuracy", "drop", "agreement", "samples", "95 % interval", "note"),
            map(_stage_row, summary.waterfall),
        ),
        _first_loss(manifest.first_loss) if manifest and manifest.first_loss else "",
        _steps(summary),
        "## Layers",
        _layers(summary, manifest) if manifest else "Not exported yet.",
        "## Synaptic operations per sample",
        _activity(manifest) if manifest and manifest.activity else "Not counted yet.",
        "## Energy estimate",
        _energy(manifest) if manifest and manifest.energy else "None was made.",
        "## Training",
        "\n".join(f"- {plain(name)}: {plain(value)}" for name, value in summary.training),
        "## Provenance",
        "\n".join(f"- {plain(name)}: {plain(value)}" for name, value in summary.provenance),
        _recipe(summary.run.recipe),
        f"Written by neurokd {summary.version}. Lava is a simulation: nothing here was run on a Loihi 2 chip.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _stage_row(stage: WaterfallStage) -> tuple[str, ...]:
    name = LABELS.get(stage.stage, stage.stage)
    if stage.accuracy is None or stage.samples is None or stage.low is None or stage.high is None:
        return name, "not run", "", "", "", "", stage.note or ""
    drop = "" if stage.drop is None else points(stage.drop, stage.samples)
    interval = f"{percent(stage.low, stage.samples)} to {percent(stage.high, stage.samples)}"
    agreement = "" if stage.agreement is None else percent(stage.agreement, stage.samples)
    accuracy = percent(stage.accuracy, stage.samples)
    return name, accuracy, drop, agreement, whole(stage.samples), interval, stage.note or ""


def _first_loss(loss: FirstLoss) -> str:
    rows = [(x.name, percent(x.before), percent(x.after), f"{100 * x.error:.2f} %") for x in loss.layers]
    begins = f" Most of the error of the firing rates begins in {plain(loss.starts_at)}." if loss.starts_at else ""
    sentence = (
        f"The first stage that loses more than 0.2 points to the one before is {plain(loss.stage)}: {loss.points:.2f}."
    )
    head = ("layer", "firing rate before", "after", "error of its neurons")
    return f"{sentence}{begins}\n\n" + table(head, rows)


def _steps(summary: Summary) -> str:
    student = summary.run.result.student.accuracy_per_step
    exported = summary.run.manifest.accuracy_per_step if summary.run.manifest else ()
    if not student and not exported:
        return "The accuracy of every step was not recorded."
    rows = []
    for t in range(max(len(student), len(exported))):
        rows.append(
            (
                str(t + 1),
                *(percent(c[t], summary.run.result.data.test) if t < len(c) else "" for c in (student, exported)),
            )
        )
    return table(("time steps t", "float student", "quantised"), rows)


def _layers(summary: Summary, manifest: Manifest) -> str:
    rows = []
    for layer in manifest.layers:
        compared = summary.compared.get(layer.name)
        rate = "never spikes" if layer.readout else "" if layer.firing_rate is None else percent(layer.firing_rate)
        rows.append(
            (
                layer.name,
                layer.kind,
                shape(layer.shape),
                whole(layer.neurons),
                whole(layer.synapses),
                f"{whole(layer.weight_min)} to {whole(layer.weight_max)}",
                whole(layer.threshold),
                "" if layer.clipped_fraction is None else percent(layer.clipped_fraction, 2000),
                rate,
                f"{whole(compared.mismatches)} of {whole(compared.compared)}" if compared else "not compared",
            )
        )
    head = (
        "layer",
        "kind",
        "shape",
        "neurons",
        "synapses",
        "weights",
        "threshold",
        "clipped",
        "firing rate",
        "differing spikes",
    )
    return table(head, rows)


def _activity(manifest: Manifest) -> str:
    layers = manifest.activity.layers if manifest.activity else ()
    rows = [(x.name, big(x.effective_acs), big(x.effective_macs), big(x.dense_operations)) for x in layers]
    return table(("layer", "effective ACs", "effective MACs", "dense operations"), rows)


def _energy(manifest: Manifest) -> str:
    rows = []
    for x in manifest.energy:
        span = "one figure" if x.low == x.high else f"{energy(x.low, x.unit)} to {energy(x.high, x.unit)}"
        rows.append((x.what, x.label, energy(x.value, x.unit), span, x.source))
    head = ("network", "model", "energy per sample", "range", "constants and source")
    return "Estimates from operation counts, and no claim about a chip.\n\n" + table(head, rows)


def _recipe(recipe: str | None) -> str:
    if recipe is None:
        return "The run folder holds no recipe."
    longest = max((len(run) for run in re.findall(r"`+", recipe)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}yaml\n{recipe.rstrip()}\n{fence}"
