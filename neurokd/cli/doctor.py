"""`neurokd doctor`: what is here, for the user and for a bug report."""

from typing import Annotated, Any

import typer

PACKAGES = ("torch", "torchvision", "lightning", "norse", "nir", "numpy", "h5py", "onnx", "onnxruntime", "timm")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False) -> None:
    """Show versions, CPU, GPU, Lava and Loihi 2 as found on this machine."""
    import json

    facts = _facts()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")


def _facts() -> dict[str, Any]:
    import os
    import platform

    from neurokd import __version__
    from neurokd.hardware.lava.environment import status

    lava = status()
    return {
        "neurokd": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "gpu": _gpu(),
        "lava": lava.summary().removeprefix("Lava: ") + ("" if lava.installed else "; run `neurokd lava install`"),
        "loihi2": _loihi2(),
    }


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _gpu() -> str:
    try:
        import torch
    except ImportError as error:
        return f"unknown: torch cannot be imported ({error})"
    if not torch.cuda.is_available():
        return "none"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{', '.join(names)} (CUDA {torch.version.cuda})"


def _loihi2() -> str:
    from neurokd.hardware.lava.environment import loihi2_extension

    found = loihi2_extension()
    if found is None:
        return "unknown: Lava is needed to ask"
    return "Lava's Loihi 2 extension is installed; no board was contacted" if found else "not found"
