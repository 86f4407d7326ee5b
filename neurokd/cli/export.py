"""neurokd export: write the artefact of a run and verify it."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neurokd.errors import CheckFailed, NeurokdError


def export(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN|MODEL.nir]", help="What to export; default the newest run in runs/.")
    ] = None,
    target: Annotated[
        Literal["loihi2", "loihi2-microcode", "lava-cpu", "onnx"], typer.Option(help="What is to run it; see check.")
    ] = "loihi2",
    samples: Annotated[int | None, typer.Option(min=1, help="Test images to verify with; default all.")] = None,
    lava: Annotated[Literal["auto", "require", "off"], typer.Option(help="Verify with Lava if installed.")] = "auto",
    lava_samples: Annotated[int, typer.Option(min=1, help="Test images that Lava repeats.")] = 200,
    lava_fast: Annotated[bool, typer.Option("--lava-fast", help="Im2col convolution in Lava, same integers.")] = False,
    lava_timeout: Annotated[float, typer.Option(min=1.0, help="Seconds before Lava is stopped.")] = 1800.0,
    scale_search: Annotated[
        Literal["min-max", "percentile", "mse", "best"] | None,
        typer.Option(help="How weights are clipped; default best, which tries all."),
    ] = None,
    weight_bits: Annotated[int | None, typer.Option(min=2, max=8, help="Bits of a weight; default 8.")] = None,
    input_bits: Annotated[int | None, typer.Option(min=6, max=8, help="Bits of a pixel; default the best.")] = None,
    per_channel: Annotated[bool, typer.Option("--per-channel", help="A scale and a threshold per channel.")] = False,
    calibrate: Annotated[str | None, typer.Option(help="MODEL.nir: a data set, or a recipe that names one.")] = None,
    dt: Annotated[float | None, typer.Option(help="MODEL.nir: seconds per step; default those in the file.")] = None,
    timesteps: Annotated[int | None, typer.Option(help="MODEL.nir: steps; default those in the file.")] = None,
    out: Annotated[Path | None, typer.Option(help="MODEL.nir: folder to write; default MODEL-export.")] = None,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Fold, quantise, write network.net, verify it neuron by neuron; exit 1 on one differing spike."""
    from neurokd.export.bundle import ExportOptions, export_run
    from neurokd.export.proof.witness import Witness
    from neurokd.export.quantization.scale_search import ScaleOptions
    from neurokd.runs import find_run

    asked = scale_search is not None or weight_bits is not None or input_bits is not None or per_channel
    scales = ScaleOptions(scale_search or "best", weight_bits or 8, input_bits, per_channel)
    options = ExportOptions(
        samples,
        Witness(lava, lava_samples, lava_fast, lava_timeout),
        data_root,
        scales if asked else None,
        "loihi2" if target == "onnx" else target,
    )
    if run is not None and run.lower().endswith(".nir"):
        from neurokd.cli.export_nir import export_file
        from neurokd.export.bundle_nir import NirOptions

        export_file(Path(run), target, NirOptions(out, calibrate, dt, timesteps, options), as_json)
        return
    for name, value in {"calibrate": calibrate, "dt": dt, "timesteps": timesteps, "out": out}.items():
        if value is not None:
            raise NeurokdError(f"--{name}: is for a NIR file; a run has its own")
    found = find_run(run)
    if target == "onnx":
        from neurokd.cli.export_onnx import export_graphs

        export_graphs(found, options, as_json)
        return
    manifest = export_run(found, options)
    if as_json:
        typer.echo(json.dumps(manifest, indent=2))
    else:
        show_manifest(found.export, manifest)
    check_lava(found.export, manifest)


def check_lava(path: Path, manifest: dict[str, Any]) -> None:
    """Raise CheckFailed if Lava was asked and computed something else."""
    check = manifest["verification"]["lava"]
    if check["status"] == "failed":
        raise CheckFailed(f"export '{path}': Lava and the simulator differ: {check['reason']}")


def show_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Print the waterfall, the layers and the verdict."""
    from neurokd.cli.console import console

    out = console()
    out.print(_waterfall(path, manifest))
    if manifest["first_loss"]:
        out.print(_first_loss(manifest), markup=False)
    out.print(_calibration(manifest["calibration"]), markup=False)
    out.print(_layers(manifest))
    for note in manifest["notes"]:
        out.print(f"note: {note}", markup=False)
    check = manifest["verification"]["lava"]
    if check["status"] == "skipped":
        out.print(f"not verified on Lava: {check['reason']}", markup=False)
    else:
        versions = ", ".join(f"{name} {version}" for name, version in check["versions"].items())
        out.print(
            f"Lava ({versions}; {check['models']}): {check['mismatches']} differing of {check['compared']:,} compared, "
            f"{check['samples']} images x {check['timesteps']} steps, every neuron of every layer",
            markup=False,
        )


def _waterfall(path: Path, manifest: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("stage", title=f"{path / manifest['network']} for {manifest['target']}, T = {manifest['timesteps']}")
    for column in ("accuracy", "agreement", "images"):
        table.add_column(column, justify="right")
    table.add_column("note")
    for row in manifest["waterfall"]:
        shares = ("-" if row[key] is None else f"{row[key]:.2%}" for key in ("accuracy", "agreement"))
        table.add_row(row["stage"], *shares, f"{row['samples']:,}", row["note"] or "")
    return table


def _first_loss(manifest: dict[str, Any]) -> str:
    """The first stage that loses accuracy, and its layers."""
    loss = manifest["first_loss"]
    layers = ", ".join(f"{layer['name']} {layer['error']:.2%}" for layer in loss["layers"])
    return (
        f"first loss: '{loss['stage']}' loses {loss['points']:.2f} points; error of the firing rates by layer: "
        f"{layers}; most of it begins in {loss['starts_at']}"
    )


def _calibration(calibration: dict[str, Any]) -> str:
    """What was chosen."""
    chosen = (
        f"scales: {calibration['method']}, weights of {calibration['weight_bits']} bits, "
        f"inputs of {calibration['input_bits']}, rounding {calibration['rounding']}"
    )
    if not calibration["candidates"]:
        return f"{chosen}; calibration: {calibration['part']}"
    return f"{chosen}, the best of {len(calibration['candidates'])} on {calibration['samples']} training images"


def _layers(manifest: dict[str, Any]) -> Any:
    from rich.table import Table

    columns = ("layer", "shape", "weights", "threshold", "bias", "clipped", "saturated", "firing rate")
    table = Table(title="layers: integer weights, thresholds, and what the test images did to them")
    for column in columns:
        table.add_column(column, justify="left" if column == "layer" else "right", overflow="fold")
    for row in manifest["layers"]:
        table.add_row(
            row["name"],
            "x".join(map(str, row["shape"])),
            f"{row['weight_min']}..{row['weight_max']}",
            "read-out" if row["readout"] else str(row["threshold"]),
            f"{row['bias_min']}..{row['bias_max']}",
            f"{row['clipped_fraction']:.2%}",
            str(row["saturated"]),
            "-" if row["readout"] else f"{row['firing_rate']:.3f}",
        )
    return table
