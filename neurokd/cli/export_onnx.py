"""neurokd export --target onnx: write a run's ONNX graphs beside its network.net, and verify them."""

import json
from pathlib import Path
from typing import Any

import typer

from neurokd.cli.export import check_lava, show_manifest
from neurokd.errors import CheckFailed, NeurokdError
from neurokd.export.artefact import ExportOptions
from neurokd.export.bundle import export_run
from neurokd.export.onnx_graphs.bundle import FOLDER, export_onnx
from neurokd.runs import Run


def export_graphs(run: Run, options: ExportOptions, as_json: bool) -> None:
    """Export the graphs of `run`, after its artefact where it has none yet; raise CheckFailed if one is wrong."""
    if not (run.export / "network.net").is_file():
        artefact = export_run(run, options)
        if not as_json:
            show_manifest(run.export, artefact)
        check_lava(run.export, artefact)
    elif options.scales is not None:
        raise NeurokdError(
            f"run '{run.path}': has been exported, and its graphs hold those integers; export it again with these "
            "options and without --target onnx first"
        )
    manifest = export_onnx(run, samples=options.samples, data_root=options.data_root)
    folder = run.export / FOLDER
    if as_json:
        typer.echo(json.dumps(manifest, indent=2))
    else:
        _show(folder, manifest)
    checks = {row["file"]: row["verification"] for row in manifest["files"]}
    failed = [f"{file}: {check['reason']}" for file, check in checks.items() if check["status"] == "failed"]
    if failed:
        raise CheckFailed(f"export '{folder}': {'; '.join(failed)}")


def _show(folder: Path, manifest: dict[str, Any]) -> None:
    """Print what each graph was held against, and what came out."""
    from neurokd.cli.console import console

    out = console()
    for row in manifest["files"]:
        out.print(f"{folder / row['file']}, {row['bytes']:,} bytes", markup=False)
        out.print(f"  {_verdict(row['verification'], manifest)}", markup=False)
    for file, reason in manifest["skipped"].items():
        out.print(f"{file} is not written: {reason}", markup=False)


def _verdict(check: dict[str, Any], manifest: dict[str, Any]) -> str:
    runtime = f"onnxruntime {manifest['onnxruntime']}"
    if "mismatches" in check:
        return (
            f"{runtime}: {check['mismatches']} differing of {check['compared']:,} compared with the simulator, "
            f"{check['samples']} images x {manifest['timesteps']} steps, every neuron of every layer"
        )
    return (
        f"{runtime}: of {check['samples']} images {check['differing']} differ from torch by more than "
        f"{check['tolerance']:g} in a logit, {check['other_predictions']} in the prediction"
    )
