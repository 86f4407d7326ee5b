"""neurokd simulate: run an artefact on test images."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neurokd.errors import NeurokdError


def simulate(
    artefact: Annotated[Path | None, typer.Argument(help="network.net or a run; default the newest run's.")] = None,
    backend: Annotated[Literal["integer", "lava", "onnx"], typer.Option(help="Who runs it.")] = "integer",
    samples: Annotated[int | None, typer.Option(min=1, help="Test images; default all, 20 on Lava.")] = None,
    lava_fast: Annotated[bool, typer.Option("--lava-fast", help="Im2col convolution in Lava, same integers.")] = False,
    lava_timeout: Annotated[float, typer.Option(min=1.0, help="Seconds before Lava is stopped.")] = 1800.0,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Accuracy, spikes per layer, synaptic operations and wall time of an artefact."""
    from neurokd.export.network_file import read_network
    from neurokd.hardware.activity import measure_activity
    from neurokd.hardware.lava.runner import run_lava
    from neurokd.hardware.simulator import simulate as run_integer

    path, run = _locate(artefact)
    network = read_network(path)
    images = _test_images(run, samples if samples or backend != "lava" else 20, data_root)
    frames = network.input.encode(images.images[:].numpy())
    if frames.shape[2:] != network.input.shape:
        raise NeurokdError(
            f"artefact '{path}': expects inputs {network.input.shape}, the data gives {frames.shape[2:]}"
        )
    if backend == "integer":
        trace = run_integer(network, frames, record="counts")
    elif backend == "onnx":
        from neurokd.export.onnx_bundle import open_verified
        from neurokd.export.onnx_run import run_onnx

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
    """The network file and the run it belongs to."""
    from neurokd.runs import Run, find_run

    if artefact is not None and artefact.is_file():
        run = Run(artefact.absolute().parent.parent)
        if not (run.path / "recipe.yaml").is_file():
            raise NeurokdError(f"artefact '{artefact}': lies in no run folder, so its test data are not known")
        return artefact, run
    run = find_run(str(artefact) if artefact else None)
    path = run.export / "network.net"
    if not path.is_file():
        raise NeurokdError(f"run '{run.path}': has no artefact yet; write it with: neurokd export {run.path}")
    return path, run


def _test_images(run: Any, samples: int | None, data_root: Path | None) -> Any:
    import torch

    from neurokd.training import load_data

    test = load_data(run.recipe, data_root).test
    return test if samples is None else test.subset(torch.arange(min(samples, len(test))))


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
