"""`neurokd datasets`: what there is, and how to get or make it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from neurokd.cli.event_sets import import_events, simulate_events
from neurokd.errors import NeurokdError

app = typer.Typer(name="datasets", help="The data sets: what there is, and how to get it.", no_args_is_help=True)

Root = Annotated[
    Path | None, typer.Option("--data-root", help="Folder of the data sets [default: $NEUROKD_DATA, else the cache].")
]
app.command("import")(import_events)
app.command("simulate-events")(simulate_events)


@app.command("list")
def list_datasets(
    data_root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """List the data sets with their shapes, and which of them are ready here."""
    from neurokd.data.root import data_root as chosen_root

    root = chosen_root(data_root)
    rows = _rows(root)
    if as_json:
        typer.echo(json.dumps({"data_root": str(root), "datasets": rows}, indent=2))
        return
    typer.echo(f"data root: {root}\n")
    for row in rows:
        shape = "x".join(str(size) for size in row["shape"]) if row["shape"] else "any"
        classes = f"{row['classes']} classes" if row["classes"] else "any classes"
        counts = " + ".join(str(row[part]) for part in ("train", "test") if row[part]) or "any number"
        state = {True: "ready", False: f"missing: {row['how_to_get']}", None: row["how_to_get"]}[row["ready"]]
        typer.echo(f"{row['name']:<14} {shape:<9} {classes:<12} {counts:<14} {state}")


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="A name from `neurokd datasets list`.")],
    data_root: Root = None,
) -> None:
    """Download a data set where it is missing, and check that it can be read."""
    from neurokd.data.catalogue import CATALOGUE
    from neurokd.data.root import data_root as chosen_root

    if name not in CATALOGUE:
        raise NeurokdError(f"data '{name}' is unknown; allowed are {', '.join(CATALOGUE)}")
    entry, root = CATALOGUE[name], chosen_root(data_root)
    if not entry.published:
        typer.echo(f"{name}: {entry.how_to_get}")
        return
    if entry.events:
        from neurokd.events.tonic_sets import prepare_tonic

        written = ", ".join(f"{len(part)} recordings in {path}" for path, part in prepare_tonic(name, root).items())
        typer.echo(f"{name}: {written}")
        return
    from neurokd.data.torchvision_sets import prepare_torchvision

    dataset = prepare_torchvision(name, root)
    typer.echo(f"{name}: {len(dataset.train)} training and {len(dataset.test)} test images in {root / entry.folder}")


def _rows(root: Path) -> list[dict[str, Any]]:
    """Describe every set; `ready` is None where it depends on a `path` in the recipe."""
    from neurokd.data.catalogue import CATALOGUE

    return [
        {
            "name": name,
            "shape": entry.shape,
            "classes": entry.classes,
            "train": entry.train,
            "test": entry.test,
            "ready": None if entry.shape is None else not entry.missing(root),
            "how_to_get": entry.how_to_get,
        }
        for name, entry in CATALOGUE.items()
    ]
