"""The steps of a NIR graph: NIR is continuous in time, so somebody has to say what a step is."""

from typing import Any

import nir
import numpy as np

from neurokd.errors import NeurokdError

MAX_TIMESTEPS = 1 << 16


def timed(graph: nir.NIRGraph, dt: float | None = None, timesteps: int | None = None) -> nir.NIRGraph:
    """Return `graph` with `dt` (seconds per step) and `timesteps` in its metadata, as given or as they stand there.

    Raises NeurokdError for what is neither given nor there, a `dt` that is no time, and steps that are no number of
    steps.
    """
    given = {"dt": dt, "timesteps": timesteps}
    found = {key: graph.metadata.get(key) if value is None else value for key, value in given.items()}
    missing = [key for key, value in found.items() if value is None]
    if missing:
        options = " and ".join(f"--{key}" for key in missing)
        raise NeurokdError(f"graph: metadata without {' and '.join(missing)}; give {options}, or add them to the file")
    seconds, steps = _number("dt", found["dt"]), _number("timesteps", found["timesteps"])
    if not 0.0 < seconds < np.inf:
        raise NeurokdError(f"graph: dt is {seconds:g}, allowed are seconds above 0")
    if not 1 <= steps <= MAX_TIMESTEPS or steps != int(steps):
        raise NeurokdError(f"graph: timesteps is {steps:g}, allowed are whole numbers 1..{MAX_TIMESTEPS}")
    metadata = {**graph.metadata, "dt": seconds, "timesteps": int(steps)}
    return nir.NIRGraph(dict(graph.nodes), list(graph.edges), metadata=metadata, type_check=False)


def _number(key: str, value: Any) -> float:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.size != 1:
        raise NeurokdError(f"graph: {key} is {array.tolist()!r:.40}, allowed is a number")
    return float(array.reshape(()))
