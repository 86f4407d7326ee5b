"""neurokd export MODEL.nir: write the artefact of a graph that another framework saved, and verify it."""

import json
from pathlib import Path

import typer

from neurokd.cli.export import check_lava, show_manifest
from neurokd.errors import NeurokdError
from neurokd.export.bundle_nir import NirOptions, export_nir, nir_folder


def export_file(path: Path, target: str, options: NirOptions, as_json: bool) -> None:
    """Export the NIR file `path`, print the manifest, raise CheckFailed if Lava differs."""
    if target == "onnx":
        raise NeurokdError(
            "--target onnx: is for a run; a NIR file is exported for loihi2, loihi2-microcode or lava-cpu"
        )
    manifest, folder = export_nir(path, options), nir_folder(path, options.out)
    if as_json:
        typer.echo(json.dumps(manifest, indent=2))
    else:
        show_manifest(folder, manifest)
    check_lava(folder, manifest)
