"""`neurokd models list`."""

import json
from typing import Annotated, Any

import typer

app = typer.Typer(name="models", help="The model families.", no_args_is_help=True)

SHAPES = ((1, 28, 28), (3, 32, 32))
CLASSES = 10


@app.callback()
def models() -> None:
    """The model families."""


@app.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False) -> None:
    """List the models with parameters and multiply-accumulates for ten classes."""
    from neurokd.models import MODELS

    rows = [_row(name) for name in MODELS]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    typer.echo(f"{'model':<13} {'input':<8} {'parameters':>12} {'MACs':>14}   options")
    for row in rows:
        for size in row["sizes"]:
            shape = "x".join(str(n) for n in size["input_shape"])
            numbers = f"{size['parameters']:>12,} {size['macs']:>14,}"
            typer.echo(f"{row['name']:<13} {shape:<8} {numbers}   {', '.join(row['options'])}")
    typer.echo("\nOf other libraries: torchvision:NAME and timm:NAME, for example torchvision:resnet18.")
    typer.echo("A trained network in an ONNX file: onnx:FILE.")
    typer.echo("Your own: package.module:function, called with input_shape=(C, H, W), classes=N and the options.")


def _row(name: str) -> dict[str, Any]:
    import inspect

    import torch

    from neurokd.models import MODELS, build_model
    from neurokd.models.macs import count_macs

    options = [f"{p.name}={p.default}" for p in inspect.signature(MODELS[name]).parameters.values()][2:]
    sizes = []
    for shape in SHAPES:
        with torch.device("meta"):  # shapes alone are enough to count
            model = build_model(name, shape, CLASSES)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        sizes.append({"input_shape": shape, "parameters": parameters, "macs": count_macs(model, shape)})
    return {"name": name, "classes": CLASSES, "options": options, "sizes": sizes}
