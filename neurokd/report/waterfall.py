"""Figures that follow from the run's files: drops between stages, their intervals, sums over the layers."""

from dataclasses import dataclass

from neurokd.report.numbers import wilson
from neurokd.report.schema import LayerActivity, Manifest, Result, Stage


@dataclass(frozen=True)
class WaterfallStage:
    """One stage of the waterfall; `drop` is to the stage before, None where the samples are not the same number.

    `accuracy` is None for a stage that was not run; `note` then says why. `agreement` is the share of samples that
    are predicted as by the float student.
    """

    stage: str
    accuracy: float | None
    samples: int | None
    low: float | None
    high: float | None
    drop: float | None
    note: str | None
    agreement: float | None = None


@dataclass(frozen=True)
class Totals:
    """Sums over the layers of the exported network; operations and spikes are per sample, over all steps.

    `used` is the effective share of the dense operations.
    """

    neurons: int
    synapses: int
    spikes: float | None
    firing_rate: float | None
    effective_acs: float | None
    effective_macs: float | None
    dense_operations: float | None
    used: float | None


def waterfall(result: Result, manifest: Manifest | None) -> tuple[WaterfallStage, ...]:
    """The stages of the manifest, or those that training alone knows; a missing stage says why it is missing."""
    known: list[Stage] = list(manifest.waterfall) if manifest else []
    if not known and result.data.test:
        if result.teacher:
            known.append(Stage(stage="teacher", accuracy=result.teacher.accuracy, samples=result.data.test))
        known.append(Stage(stage="float student", accuracy=result.student.accuracy, samples=result.data.test))
    stages: list[WaterfallStage] = []
    before: Stage | None = None
    for one in known:
        drop = one.accuracy - before.accuracy if before and before.samples == one.samples else None
        interval = wilson(one.accuracy, one.samples)
        stages.append(WaterfallStage(one.stage, one.accuracy, one.samples, *interval, drop, one.note, one.agreement))
        before = one
    names = {stage.stage for stage in stages}
    missing = (("quantised", _why_no_export(manifest)), ("lava", _why_no_lava(manifest)))
    absent = (WaterfallStage(name, None, None, None, None, None, why) for name, why in missing if name not in names)
    return (*stages, *absent)


def _why_no_export(manifest: Manifest | None) -> str:
    return "not recorded in the manifest" if manifest else "not exported yet"


def _why_no_lava(manifest: Manifest | None) -> str:
    lava = manifest.verification.lava if manifest else None
    return lava.reason if lava and lava.reason else _why_no_export(manifest)


def totals(manifest: Manifest) -> Totals:
    """Sums over the layers; None where the manifest does not hold every part of a sum.

    The firing rate is spikes per neuron and step over the spiking layers.
    """
    layers = manifest.layers
    spiking = [layer for layer in layers if not layer.readout]
    counted = [layer.spikes_per_sample for layer in spiking if layer.spikes_per_sample is not None]
    spikes = sum(counted) if spiking and len(counted) == len(spiking) else None
    slots = sum(layer.neurons for layer in spiking) * manifest.timesteps
    work: tuple[LayerActivity, ...] = manifest.activity.layers if manifest.activity else ()
    acs, macs = sum(layer.effective_acs for layer in work), sum(layer.effective_macs for layer in work)
    dense = sum(layer.dense_operations for layer in work)
    return Totals(
        neurons=sum(layer.neurons for layer in layers),
        synapses=sum(layer.synapses for layer in layers),
        spikes=spikes,
        firing_rate=spikes / slots if spikes is not None and slots else None,
        effective_acs=acs if work else None,
        effective_macs=macs if work else None,
        dense_operations=dense if work else None,
        used=(acs + macs) / dense if dense else None,
    )
