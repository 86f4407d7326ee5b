"""Train the points of a sweep that are still to be trained."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from neurokd.errors import NeurokdError, RunBusy
from neurokd.sweep.grid import Point
from neurokd.sweep.state import FAILURE, failure_stamp, record_failure, state_of
from neurokd.training import fit

logger = logging.getLogger(__name__)


def run_points(
    points: Sequence[Point],
    *,
    data_root: Path | None = None,
    progress: bool = True,
    after_each: Callable[[], object] = lambda: None,
) -> None:
    """Train every point that is not finished, in order; `after_each` is called whenever one came to its end.

    A point that another process trains is left to it, and looked at again at the end. A point that
    fails leaves its reason in its folder, and the others go on; it is tried again by the next start.
    Raises NeurokdError for an interruption; the same call continues.
    """
    old = {point.run.path: failure_stamp(point.run.path) for point in points}
    pending = list(points)
    while pending:
        left = [point for point in pending if not _settled(point, points, old, data_root, progress, after_each)]
        if len(left) == len(pending):
            return
        pending = left


def _settled(
    point: Point,
    points: Sequence[Point],
    old: Mapping[Path, int | None],
    data_root: Path | None,
    progress: bool,
    after_each: Callable[[], object],
) -> bool:
    """Train `point` if nobody has yet; False if another process is at it. Failures in `old` are tried again."""
    path = point.run.path
    state = state_of(point)
    if state == "finished" or failure_stamp(path) not in (None, old[path]):
        return True
    if state == "running":
        return False
    done = sum(one.run.finished for one in points)
    logger.info("sweep: %d of %d runs are finished; now %s", done, len(points), path.name)
    try:
        fit(point.recipe, path, data_root=data_root, progress=progress)
    except RunBusy:
        return False
    except KeyboardInterrupt as error:
        raise _interrupted(points) from error
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt | SystemExit):  # how `fit` reports Ctrl-C
            raise _interrupted(points) from error
        _note_failure(path, error)
    else:
        (path / FAILURE).unlink(missing_ok=True)
    after_each()
    return True


def _note_failure(path: Path, error: Exception) -> None:
    """A campaign of days must outlive whatever one run dies of; what is no foreseen error leaves its traceback."""
    foreseen = isinstance(error, NeurokdError)
    reason = str(error) if foreseen else f"{type(error).__name__}: {error}"
    logger.error("sweep: run '%s' failed: %s", path, reason, exc_info=None if foreseen else error)
    record_failure(path, reason)


def _interrupted(points: Sequence[Point]) -> NeurokdError:
    done = sum(point.run.finished for point in points)
    return NeurokdError(f"interrupted with {done} of {len(points)} runs finished; the same command continues")
