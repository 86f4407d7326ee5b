"""Where a point stands, from its folder alone, so that several processes agree."""

from pathlib import Path
from typing import Literal

from neurokd.errors import NeurokdError
from neurokd.files import write_json
from neurokd.runs import now, read_json
from neurokd.sweep.grid import Point

State = Literal["finished", "running", "failed", "interrupted", "waiting"]

FAILURE = "failure.json"


def state_of(point: Point) -> State:
    """`interrupted` has begun and can go on; `waiting` has not begun.

    Raises NeurokdError if the folder holds a run of another recipe: its result would be of another experiment.
    """
    run = point.run
    if (run.path / "recipe.yaml").is_file() and run.recipe != point.recipe:
        raise NeurokdError(
            f"run '{run.path}': was started with another recipe than this sweep gives it; "
            "name another --out, or delete the folder"
        )
    if run.finished:
        return "finished"
    if run.busy:
        return "running"
    if (run.path / FAILURE).is_file():
        return "failed"
    return "interrupted" if (run.path / "recipe.yaml").is_file() else "waiting"


def record_failure(folder: Path, reason: str) -> None:
    """Leave the reason with the run."""
    write_json(folder / FAILURE, {"reason": reason, "created": now()})


def failure_of(folder: Path) -> str:
    """Why a run failed; a damaged record says only that, and the run is tried again like any that failed."""
    try:
        return str(read_json(folder / FAILURE).get("reason", "no reason was recorded"))
    except NeurokdError as error:
        return f"the reason is lost: {error}"


def failure_stamp(folder: Path) -> int | None:
    """Tells one failure from the next, whichever process recorded it; None where there is none."""
    file = folder / FAILURE
    return file.stat().st_mtime_ns if file.is_file() else None
