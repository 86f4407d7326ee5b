"""The rows that say how a run came about and what its files are."""

from neurokd.report.data import RunData
from neurokd.report.numbers import duration, moment, percent, whole
from neurokd.report.schema import Calibration

Rows = tuple[tuple[str, str], ...]
MISSING = "not recorded"


def training_rows(run: RunData) -> Rows:
    """Model, teacher, best epoch and time."""
    result, teacher = run.result, run.result.teacher
    rows: list[tuple[str, str]] = [("student", _model(result.student.model, result.student.parameters))]
    if teacher:
        reused = ", reused from the cache" if teacher.reused else ""
        rows.append(("teacher", _model(teacher.model, teacher.parameters) + reused))
        rows.append(
            (
                "teacher, training time",
                duration(result.wall_s.teacher) if result.wall_s.teacher is not None else MISSING,
            )
        )
    rows.append(
        ("student, training time", duration(result.wall_s.student) if result.wall_s.student is not None else MISSING)
    )
    if result.student.best_epoch is not None:
        rows.append(("epoch kept", f"{result.student.best_epoch}, chosen on validation data"))
    if result.student.validation_accuracy is not None:
        rows.append(("validation accuracy", percent(result.student.validation_accuracy, result.data.validation)))
    return tuple(rows)


def provenance_rows(run: RunData) -> Rows:
    """Data, split, seed, artefact, checksums, Lava's versions."""
    data, manifest = run.result.data, run.manifest
    parts = (("train", data.train), ("validation", data.validation), ("test", data.test))
    rows = [
        ("run folder", run.folder.name),
        ("trained", moment(run.result.created)),
        ("data", data.name),
        ("samples", ", ".join(f"{name} {MISSING if size is None else whole(size)}" for name, size in parts)),
        *_fingerprints(data.fingerprint),
        ("seed", MISSING if run.seed is None else str(run.seed)),
    ]
    if manifest is None:
        return (*rows, ("artefact", "not exported yet"))
    same = {None: "the file is missing", manifest.sha256.lower(): "recomputed for this report, equal"}
    rows += [
        ("exported", moment(manifest.created)),
        ("artefact", f"export/{manifest.network}"),
        ("SHA-256 in the manifest", manifest.sha256),
        ("SHA-256 of the file", same.get(run.artefact_sha256, f"DIFFERS: {run.artefact_sha256}")),
    ]
    if manifest.calibration:
        rows.append(("weights kept", _kept(manifest.calibration)))
        rows += _scales(manifest.calibration)
    lava = manifest.verification.lava
    if lava and lava.versions:
        versions = ", ".join(f"{name} {version}" for name, version in lava.versions.items())
        rows.append(("verified with", f"{versions}; {lava.models}" if lava.models else versions))
    if lava and lava.wall_s is not None:
        rows.append(("Lava's running time", duration(lava.wall_s)))
    return tuple(rows)


def _kept(calibration: Calibration) -> str:
    clips = list(calibration.clip.values()) if isinstance(calibration.clip, dict) else [calibration.clip]
    span = f"{min(clips):g}" if min(clips) == max(clips) else f"{min(clips):g} to {max(clips):g}, by layer,"
    return f"up to {span} of the largest, chosen on {whole(calibration.samples)} training samples"


def _scales(calibration: Calibration) -> list[tuple[str, str]]:
    if calibration.method is None:
        return []
    each = ", a scale per channel" if calibration.per_channel else ""
    bits = f"weights of {calibration.weight_bits} bits, inputs of {calibration.input_bits}"
    return [("scales", f"{calibration.method}, {bits}, rounding {calibration.rounding}{each}")]


def _fingerprints(fingerprint: str | dict[str, str] | None) -> list[tuple[str, str]]:
    if isinstance(fingerprint, dict):
        return [(f"data fingerprint, {part}", value) for part, value in fingerprint.items()]
    return [("data fingerprint", fingerprint or MISSING)]


def _model(name: str, parameters: int | None) -> str:
    return name if parameters is None else f"{name}, {whole(parameters)} parameters"
