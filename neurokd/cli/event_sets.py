"""`neurokd datasets import` and `simulate-events`: event sets of your own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from neurokd.errors import NeurokdError


def simulate_events(
    source: Annotated[str, typer.Argument(help="An image set from `neurokd datasets list`.")],
    out: Annotated[Path, typer.Option(help="New folder for train.npz and test.npz.")],
    sensor: Annotated[str, typer.Option(help="Height and width of the sensor: 48x48, or 48 for a square.")] = "48",
    samples: Annotated[int | None, typer.Option(help="Recordings in all, training and test in proportion.")] = None,
    train: Annotated[int | None, typer.Option(help="Training recordings [default: all images].")] = None,
    test: Annotated[int | None, typer.Option(help="Test recordings [default: all images].")] = None,
    path: Annotated[Path | None, typer.Option(help="Folder of `image-folder` and `arrays`.")] = None,
    side: Annotated[str | None, typer.Option(help="Size of the image on the sensor [default: the largest].")] = None,
    amplitude: Annotated[float, typer.Option(min=0.0, help="Pixels that a saccade is wide and high.")] = 4.0,
    duration_us: Annotated[int, typer.Option(help="Microseconds of the three saccades.")] = 300_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often they are made; each round shows the same.")] = 1,
    threshold: Annotated[float, typer.Option(help="Change of the logarithm of the light per event.")] = 0.4,
    mismatch: Annotated[float, typer.Option(help="Relative deviation of the threshold between pixels.")] = 0.03,
    refractory_us: Annotated[float, typer.Option(help="Microseconds a pixel is silent after an event.")] = 300.0,
    noise_hz: Annotated[float, typer.Option(help="Events per pixel and second without a cause.")] = 0.5,
    dark: Annotated[float, typer.Option(help="Light beside the image's, where white is 1.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Draws mismatch, noise and the choice of images.")] = 0,
    processes: Annotated[int, typer.Option(min=1, help="Processes that simulate; the files do not depend on it.")] = 1,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets.")] = None,
) -> None:
    """Show the images of a data set to a simulated event camera, in three saccades as N-MNIST."""
    from neurokd.data.dataset import load_dataset
    from neurokd.events.from_images import Recorder, part_sizes, simulate_set
    from neurokd.events.pixels import PixelSettings

    if samples is not None and (train is not None or test is not None):
        raise NeurokdError("simulate-events: give --samples, or --train and --test, not both")
    pixels = PixelSettings(threshold, mismatch, refractory_us, noise_hz, dark)
    shown = None if side is None else size_of("side", side)
    recorder = Recorder(size_of("sensor", sensor), shown, amplitude, duration_us, rounds, pixels, seed)
    images = load_dataset(_config(source, path), data_root)
    sizes = (
        (len(images.train) if train is None else train, len(images.test) if test is None else test)
        if samples is None
        else part_sizes(images, samples)
    )
    for file, part in simulate_set(images, out, recorder, *sizes, processes).items():
        events = len(part.t) / len(part)
        typer.echo(f"{file}: {len(part)} recordings, {events:.0f} events each on average")


def import_events(
    folder: Annotated[Path, typer.Argument(help="Folder with one sub-folder of recordings per class.")],
    out: Annotated[Path, typer.Option(help="The npz file to write.")],
    sensor: Annotated[str, typer.Option(help="Height and width of the sensor: 180x240, or 128 for a square.")],
    sort: Annotated[bool, typer.Option("--sort", help="Sort events by time instead of refusing them.")] = False,
) -> None:
    """Gather recordings of other tools (.aedat, .aedat4, .bin, .h5, .hdf5, .npy, .npz) into one file."""
    from neurokd.events.folder import import_folder

    data = import_folder(folder, out, size_of("sensor", sensor), sort)
    typer.echo(f"{out}: {len(data)} recordings of {len(data.classes)} classes")


def size_of(name: str, text: str) -> tuple[int, int]:
    """Return (height, width) of `48x64`, or of `48` for a square; raises NeurokdError for anything else.

    >>> size_of("sensor", "48x64")
    (48, 64)
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise NeurokdError(f"{name} is '{text}', allowed is HEIGHTxWIDTH, e.g. 48x64, or one number for a square")
    return int(sides[0]), int(sides[-1])


def _config(source: str, path: Path | None) -> Any:
    from pydantic import ValidationError

    from neurokd.data.catalogue import CATALOGUE
    from neurokd.data.config import DataConfig

    images = [name for name, entry in CATALOGUE.items() if not entry.events]
    if source not in images:
        raise NeurokdError(f"data '{source}' is no image set; allowed are {', '.join(images)}")
    try:
        return DataConfig.model_validate({"name": source, "path": path})
    except ValidationError as error:
        raise NeurokdError("; ".join(each["msg"] for each in error.errors())) from error
