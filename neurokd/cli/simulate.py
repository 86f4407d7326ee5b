"""neurokd simulate: run an artefact on test images."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neurokd.errors import NeurokdError


def simulate(
    artefact: Annotated[
        Path | None, typer.Argument(help="network.net, its folder or a run; default the newest run's.")
    ] = None,
    backend: Annotated[Literal["integer", "lava", "onnx"], typer.Option(help="Who runs it.")] = "integer",
    samples: Annotated[int | None, typer.Option(min=1, help="Test images; default all, 20 on Lava.")] = None,
    lava_fast: Annotated[bool, typer.Option("--lava-fast", help="Im2col convolution in Lava, same integers.")] = False,
    lava_timeout: Annotated[float, typer.Option(min=1.0, help="Seconds before Lava is stopped.")] = 1800.0,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Accuracy, spikes per layer, synaptic operations and wall time of an artefact."""
    import torch

    from neurokd.export.network_files.network_file import read_network
    from neurokd.hardware.activity import measure_activity
    from neurokd.hardware.lava.runner import run_lava
    from neurokd.hardware.simulator import simulate as run_integer
    from neurokd.training import load_data

    path, run = _locate(artefact)
    if run:
        run.check_export()
    network = read_network(path)
    test = load_data(run.recipe, data_root).test if run else _named_data(path, network.timesteps, data_root)
    samples = samples if samples or backend != "lava" else 20
    images = test if samples is None else test.subset(torch.arange(min(samples, len(test))))
    frames = network.input.encode(images.images[:].numpy())
    if frames.shape[2:] != network.input.shape:
        raise NeurokdError(
            f"artefact '{path}': expects inputs {network.input.shape}, the data gives {frames.shape[2:]}"
        )
    if backend == "integer":
        trace = run_integer(network, frames, record="counts")
    elif backend == "onnx":
        from neurokd.export.onnx_graphs.bundle import open_verified
        from neurokd.export.onnx_graphs.run import run_onnx

        trace = run_onnx(open_verified(path), network, images.images[:].numpy(), record="counts")
    else:
        trace = run_lava(path, frames, timeout_s=lava_timeout, fast=lava_fast)
    activity = measure_activity(network, trace).to_json()
    result = {
        "artefact": str(path),
        "backend": trace.backend,
        "samples": trace.samples,
        "timesteps": trace.timesteps,
        "accuracy_per_step": trace.accuracy(images.labels.numpy()),
        "wall_s": trace.wall_s,
        "activity": activity,
    }
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        _show(result)


def _locate(artefact: Path | None) -> tuple[Path, Any]:
    """The network file and the run it belongs to, None of an artefact that lies elsewhere."""
    from neurokd.runs import Run, find_run

    if artefact is not None and (artefact / "manifest.json").is_file():
        artefact = artefact / "network.net"
    if artefact is not None and artefact.is_file():
        run = Run(artefact.absolute().parent.parent)
        if (run.path / "recipe.yaml").is_file():
            return artefact, run
        if (artefact.parent / "manifest.json").is_file():
            return artefact, None
        raise NeurokdError(f"artefact '{artefact}': lies in no run folder and beside no manifest.json that names data")
    run = find_run(str(artefact) if artefact else None)
    path = run.export / "network.net"
    if not path.is_file():
        raise NeurokdError(f"run '{run.path}': has no artefact yet; write it with: neurokd export {run.path}")
    return path, run


def _named_data(artefact: Path, timesteps: int, data_root: Path | None) -> Any:
    """The test images of the data that the manifest beside `artefact` names."""
    from neurokd.data.config import DataConfig
    from neurokd.export.nir_graphs.data import load_nir_data
    from neurokd.runs import read_json

    manifest = artefact.parent / "manifest.json"
    named = read_json(manifest).get("data")
    if named is None:
        raise NeurokdError(f"'{manifest}': names no data; export the NIR file again with --calibrate DATA")
    try:
        config = DataConfig.model_validate(named)
    except ValueError as error:
        raise NeurokdError(f"'{manifest}': its data are none ({str(error).splitlines()[-1].strip()})") from error
    return load_nir_data(config, timesteps, data_root).test


def _show(result: dict[str, Any]) -> None:
    from rich.table import Table

    from neurokd.cli.console import console

    out = console()
    steps = ", ".join(f"t={t} {accuracy:.2%}" for t, accuracy in enumerate(result["accuracy_per_step"], start=1))
    out.print(f"{result['artefact']} on {result['backend']}: {result['samples']} images in {result['wall_s']:.1f} s")
    out.print(f"accuracy: {steps}")
    table = Table("layer", title="per image, summed over the steps")
    for column in ("spikes", "firing rate", "effective ACs", "effective MACs"):
        table.add_column(column, justify="right")
    for layer in result["activity"]["layers"]:
        table.add_row(
            layer["name"],
            f"{layer['spikes']:,.1f}",
            f"{layer['firing_rate']:.3f}",
            f"{layer['effective_acs']:,.0f}",
            f"{layer['effective_macs']:,.0f}",
        )
    out.print(table)
