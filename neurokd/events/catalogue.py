"""Where the files of a prepared event set lie."""

from pathlib import Path

from neurokd.data.catalogue import CATALOGUE
from neurokd.errors import NeurokdError


def event_files(name: str, root: Path) -> tuple[Path, Path | None]:
    """Return the training and the test file of the event set `name` below the data root `root`.

    The second is None where the set has no official split: the first then holds all recordings.
    Raises NeurokdError for a name that `neurokd datasets prepare` does not know, and for a file that is missing.

    >>> event_files("nmnist", Path("/nowhere"))
    Traceback (most recent call last):
    ...
    neurokd.errors.NeurokdError: data 'nmnist': '/nowhere/nmnist/train.npz' is missing; run `neurokd datasets prepare \
nmnist`, or set NEUROKD_DATA to the folder that has the data
    """
    prepared = [known for known, entry in CATALOGUE.items() if entry.events and entry.published]
    if name not in prepared:
        raise NeurokdError(f"data '{name}' is no event set that can be prepared; allowed are {', '.join(prepared)}")
    entry = CATALOGUE[name]
    missing = entry.missing(root)
    if missing:
        raise NeurokdError(
            f"data '{name}': '{missing[0]}' is missing; run `neurokd datasets prepare {name}`, "
            "or set NEUROKD_DATA to the folder that has the data"
        )
    first, *rest = (root / entry.folder / file for file in entry.files)
    return first, rest[0] if rest else None
