"""The 40-bit events of an ATIS camera, as in N-MNIST and N-Caltech101."""

from pathlib import Path

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.events.columns import Columns

EVENT_BYTES = 5
OVERFLOW_ROW = 240  # no pixel has this row: the event says that the clock goes on
OVERFLOW_US = 2**13


def from_atis(path: Path) -> Columns:
    """Read events of x (8 bits), y (8), polarity (1) and time in us (23), most significant byte first.

    An event in row 240 adds 2^13 us to every later time (Orchard et al. 2015, Matlab and Python readers of N-MNIST).
    Raises NeurokdError for a file that ends within an event.
    """
    raw = np.fromfile(path, np.uint8)
    count, rest = divmod(len(raw), EVENT_BYTES)
    if rest:
        raise NeurokdError(f"it ends {rest} bytes into event {count}, an event has {EVENT_BYTES}; get the file again")
    x, y, *time = raw.reshape(count, EVENT_BYTES).T.astype(np.int64)
    p = time[0] >> 7
    overflow = y == OVERFLOW_ROW
    t = ((time[0] & 127) << 16 | time[1] << 8 | time[2]) + OVERFLOW_US * np.cumsum(overflow)
    real = ~overflow
    return Columns(t[real], x[real], y[real], p[real])
