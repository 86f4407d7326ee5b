"""The verdict: verified, not verified and why, or failed. Doubt never counts as passed."""

from dataclasses import dataclass
from typing import Literal

from neurokd.report.data import RunData
from neurokd.report.numbers import whole
from neurokd.report.schema import LavaCheck


@dataclass(frozen=True)
class Verdict:
    """`headline` is the badge, `detail` one or two sentences below it."""

    status: Literal["passed", "unverified", "failed"]
    headline: str
    detail: str


def judge(run: RunData) -> Verdict:
    """The verdict on a run. A changed artefact or one differing spike fails it, whatever `status` says."""
    manifest = run.manifest
    if manifest is None:
        return Verdict("unverified", "Not exported yet", "There is no artefact to verify. 'neurokd export' writes one.")
    if run.artefact_sha256 is None:
        return Verdict(
            "failed", f"{manifest.network} is missing", "The manifest is there, the network it describes is not."
        )
    if run.artefact_sha256 != manifest.sha256.lower():
        return Verdict(
            "failed",
            f"{manifest.network} is not the file that was verified",
            "Its SHA-256 differs from the one in the manifest. Export again.",
        )
    lava = manifest.verification.lava
    if lava is None:
        return Verdict("unverified", "Not verified on Lava", "The manifest holds no comparison with Lava.")
    return _judge_lava(lava)


def differing(lava: LavaCheck) -> int:
    """Differing values, spikes and read-out: the total or the sum of its parts, whichever is larger."""
    parts = sum(layer.mismatches for layer in lava.layers) + (lava.readout.mismatches if lava.readout else 0)
    return max(lava.mismatches, parts)


def spikes_of(lava: LavaCheck) -> tuple[int, int]:
    """(differing, compared) spikes without the values of the read-out."""
    readout = lava.readout
    wrong = differing(lava) - (readout.mismatches if readout else 0)
    return wrong, max(0, lava.compared - (readout.compared if readout else 0))


def _judge_lava(lava: LavaCheck) -> Verdict:
    wrong, compared = spikes_of(lava)
    spikes = "spike" if wrong == 1 else "spikes"
    count = f"{whole(wrong)} differing {spikes} in {whole(compared)} compared, {lava_name(lava)}"
    if wrong:
        where = next((layer.name for layer in lava.layers if layer.mismatches), None)
        detail = f"The first layer that differs is '{where}'." if where else _sentence(lava.reason)
        return Verdict("failed", count, detail)
    if lava.readout and lava.readout.mismatches:
        values = f"{whole(lava.readout.mismatches)} differing read-out values, {lava_name(lava)}"
        return Verdict("failed", values, "Every spike agrees, the membranes of the read-out do not.")
    if lava.status == "failed":
        return Verdict("failed", "Verification on Lava failed", _sentence(lava.reason))
    if lava.status == "skipped":
        return Verdict("unverified", f"Not verified on Lava: {lava.reason or 'no reason was recorded'}", "")
    if compared == 0:
        return Verdict("unverified", "Not verified on Lava", "The comparison passed without comparing a single spike.")
    return Verdict("passed", count, _extent(lava))


def lava_name(lava: LavaCheck) -> str:
    """Lava with its version where that was recorded."""
    version = lava.versions.get("lava-nc")
    return f"Lava {version}" if version else "Lava, version not recorded"


def _extent(lava: LavaCheck) -> str:
    readout = f" and {whole(lava.readout.compared)} read-out values" if lava.readout else ""
    samples = f", {whole(lava.samples)} samples" if lava.samples else ""
    steps = f", {lava.timesteps} time steps" if lava.timesteps else ""
    layers = len(lava.layers) or "the compared"
    return f"Every neuron of {layers} layers{readout}{samples}{steps}, in Lava's simulation of the chip's integers."


def _sentence(reason: str | None) -> str:
    return reason or "No reason was recorded."
