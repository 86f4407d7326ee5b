"""Everything a report shows, as one tree of plain values: HTML, Markdown and JSON are three prints of it."""

from dataclasses import dataclass

from neurokd import __version__
from neurokd.report.curves import Curve
from neurokd.report.data import RunData
from neurokd.report.provenance import Rows, provenance_rows, training_rows
from neurokd.report.schema import ComparedLayer, Manifest
from neurokd.report.tiles import Tile, tiles
from neurokd.report.verdict import Verdict, judge
from neurokd.report.waterfall import Totals, WaterfallStage, totals, waterfall


@dataclass(frozen=True)
class Summary:
    """What a report shows; `compared` holds Lava's comparison by layer name.

    `first_layer_once`: MACs per sample if the product of a static image is kept, None for other inputs.
    `energy_sources` are numbered from 1 in the page.
    """

    version: str
    verdict: Verdict
    run: RunData
    tiles: tuple[Tile, ...]
    waterfall: tuple[WaterfallStage, ...]
    totals: Totals | None
    compared: dict[str, ComparedLayer]
    first_layer_once: float | None
    energy_sources: tuple[str, ...]
    losses: tuple[Curve, ...]
    accuracies: tuple[Curve, ...]
    training: Rows
    provenance: Rows


def summarise(run: RunData) -> Summary:
    """Judge the run and derive every figure that its files do not state themselves."""
    result, manifest = run.result, run.manifest
    stages = waterfall(result, manifest)
    sums = totals(manifest) if manifest else None
    lava = manifest.verification.lava if manifest else None
    return Summary(
        version=__version__,
        verdict=judge(run),
        run=run,
        tiles=tiles(result, manifest, stages, sums),
        waterfall=stages,
        totals=sums,
        compared={layer.name: layer for layer in lava.layers} if lava else {},
        first_layer_once=_first_layer_once(manifest),
        energy_sources=tuple(dict.fromkeys(entry.source for entry in manifest.energy)) if manifest else (),
        losses=tuple(curve for curve in run.curves if curve.kind == "loss"),
        accuracies=tuple(curve for curve in run.curves if curve.kind == "accuracy"),
        training=training_rows(run),
        provenance=provenance_rows(run),
    )


def _first_layer_once(manifest: Manifest | None) -> float | None:
    if manifest is None or manifest.activity is None or not manifest.activity.static_input or manifest.timesteps == 1:
        return None
    return manifest.activity.totals.macs_once
