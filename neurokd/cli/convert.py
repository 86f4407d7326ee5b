"""neurokd convert: a trained network in an ONNX file is checked and measured, and can then be named in recipes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurokd.errors import CheckFailed, NeurokdError

if TYPE_CHECKING:
    from neurokd.export.onnx_graphs.given import Agreement
    from neurokd.recipe import Recipe


def convert(
    file: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="A trained network for images [B, C, H, W].")],
    data: Annotated[str, typer.Option(help="A data set, or a recipe that names one.")],
    mean: Annotated[
        str | None, typer.Option(help="What was taken off the pixels 0 to 1 in training, by channel: 0.49,0.48,0.45.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="What they were then divided by: 0.25,0.24,0.26.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder; default runs/NAME-NNN.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Test images to compare with onnxruntime.")] = 256,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare a trained ONNX network with onnxruntime and measure it, so that a recipe can name it as its teacher."""
    from neurokd.export.artefact import first_images
    from neurokd.export.onnx_graphs.given import compare
    from neurokd.files import write_json
    from neurokd.networks import build_student
    from neurokd.runs import next_path
    from neurokd.training import fit, load_data

    recipe = _recipe(file, data, {"mean": _numbers("--mean", mean), "std": _numbers("--std", std)})
    dataset = load_data(recipe, data_root)
    model = build_student(recipe, dataset.shape, len(dataset.classes))
    agreement = compare(file, model, first_images(dataset.test, samples))
    if agreement.differing:
        raise CheckFailed(
            f"file '{file}': {agreement.differing} of {agreement.images} images differ from onnxruntime, by up to "
            f"{agreement.difference:.3g} in a logit; nothing is written"
        )
    run = fit(recipe, out or next_path(recipe.name), data_root=data_root, progress=False)
    accuracy = run.result()["student"]["accuracy"]
    found = {"accuracy": accuracy, "onnxruntime": _as_json(agreement), "teacher": _teacher(recipe)}
    write_json(run.path / "converted.json", found)
    if as_json:
        typer.echo(json.dumps({"run": str(run.path), **found}, indent=2))
        return
    _show(run.path, recipe, agreement, accuracy, len(dataset.test))


def _recipe(file: Path, data: str, pixels: dict[str, list[float] | None]) -> "Recipe":
    """The recipe that measures the network: nothing is trained."""
    from neurokd.export.nir_graphs.data import data_config
    from neurokd.recipe import parse_recipe, run_name

    config = data_config(data, "--data")
    if config.events is not None:
        raise NeurokdError(f"--data '{data}': holds recordings of events; a network in an ONNX file is for images")
    model = {"name": f"onnx:{file}", **{key: values for key, values in pixels.items() if values is not None}}
    values = {"name": run_name(f"onnx:{file.with_suffix('')}"), "data": config.model_dump(), "model": model}
    return parse_recipe({**values, "neuron": None, "timesteps": 1, "training": {"epochs": 0}}, f"file '{file}'")


def _numbers(option: str, text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError as error:
        raise NeurokdError(f"{option} {text}: expected numbers separated by commas, e.g. 0.5,0.5,0.5") from error


def _teacher(recipe: "Recipe") -> dict[str, Any]:
    """The section of a recipe that takes this network as its teacher."""
    return {"model": recipe.model.model_dump(mode="json"), "training": {"epochs": 0}}


def _as_json(agreement: "Agreement") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(agreement)


def _show(path: Path, recipe: "Recipe", agreement: "Agreement", accuracy: float, images: int) -> None:
    import yaml

    typer.echo(
        f"onnxruntime: {agreement.images} images, the largest difference of a logit is {agreement.difference:.2g}\n"
        f"test accuracy: {accuracy:.2%} of {images} images; {path}\n"
        "a recipe names it as its teacher by:\n"
        + yaml.safe_dump({"teacher": _teacher(recipe)}, sort_keys=False, default_flow_style=None).rstrip()
    )
