"""How a neuron of a NIR graph is reset and where it starts, of which NIR itself knows only 0: metadata may say more."""

import math
from typing import Any, Literal

import nir

from neurokd.errors import NeurokdError

_SOFT = ("soft", "subtract")


def reset_of(node: nir.NIRNode) -> Literal["hard", "soft"]:
    """ "soft" where a metadata entry named after the reset says soft or subtract, else NIR's own, "hard".

    >>> import numpy as np
    >>> neurons = nir.IF(np.ones(2), np.ones(2), metadata={"reset_mechanism": "subtract"})
    >>> reset_of(neurons)
    'soft'
    """
    for key, value in node.metadata.items():
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if "reset" in str(key).lower() and any(word in text.lower() for word in _SOFT):
            return "soft"
    return "hard"


def initial_of(node: nir.NIRNode) -> float:
    """The membrane before the first step as a fraction of the threshold: the metadata entry "initial", else 0.

    Raises NeurokdError for anything but a number from 0 to below 1.

    >>> import numpy as np
    >>> initial_of(nir.IF(np.ones(2), np.ones(2), metadata=reset_metadata("soft", 0.5)))
    0.5
    """
    value = node.metadata.get("initial", 0.0)
    try:
        initial = float(value)
    except (TypeError, ValueError):
        initial = math.nan
    if not 0.0 <= initial < 1.0:
        raise NeurokdError(f"metadata: initial is {value!r}, allowed is a fraction of the threshold, 0 to below 1")
    return initial


def reset_metadata(reset: str, initial: float) -> dict[str, Any]:
    """The metadata of neurons with this reset that start at `initial`; empty for those that NIR itself describes."""
    return ({"reset": reset} if reset != "hard" else {}) | ({"initial": initial} if initial else {})
