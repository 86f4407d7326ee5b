"""What stock netx makes of a dense weight matrix before Lava multiplies with it.

netx shifts the matrix to use the chip's synapse bits best, and Lava clips and truncates it
afterwards. Most matrices come through; some lose a bit or everything, silently.
"""

import math

import numpy as np

from neurokd.errors import NeurokdError
from neurokd.export.network import IntArray

SYNAPSE_BITS = 8
NETX_MIN, NETX_MAX = -256, 254  # where netx clips matrices of mixed signs


def netx_dense_weight(weight: IntArray) -> tuple[IntArray, int]:
    """Return the matrix that Lava multiplies with and the right shift of its sums, `(matrix, shift)`.

    Lava computes `(matrix @ spikes) >> shift`, so the matrix came through unchanged exactly if
    `matrix == weight << shift`. Follows `optimize_weight_bits` (lava/lib/dl/netx/utils.py) and
    `clip_weights`, `truncate_weights` (lava/utils/weightutils.py) of lava-dl 0.6.0.

    Raises NeurokdError for a matrix of zeros, at which netx fails.

    >>> matrix, shift = netx_dense_weight(np.array([[3, -100]]))
    >>> matrix.tolist(), shift
    ([[6, -200]], 1)
    """
    weight = weight.astype(np.int64)
    if not weight.any():
        raise NeurokdError("dense weight: all values are 0, which stock netx cannot load; drop the layer")
    high, low = int(weight.max()), int(weight.min())
    if (high > NETX_MAX and low < 0) or (low < NETX_MIN and high > 0):
        weight = weight.clip(NETX_MIN, NETX_MAX)
        high, low = int(weight.max()), int(weight.min())
    mixed = high >= 0 and low < 0
    shift = _scale_bits(low, high)
    precision = _common_zero_bits(weight) - mixed
    bits = SYNAPSE_BITS - shift - precision
    return _clip_and_truncate(_shift_left(weight, shift), bits), shift


def survives_netx(weight: IntArray) -> bool:
    """Whether stock netx and Lava compute with exactly `weight` `[O, I]`."""
    if not weight.any():
        return False
    matrix, shift = netx_dense_weight(weight)
    return shift >= 0 and np.array_equal(matrix, weight.astype(np.int64) << shift)


def _scale_bits(low: int, high: int) -> int:
    """How far netx shifts the matrix to the left; negative: it does not fit."""
    if high < 0:
        return math.floor(math.log2(256 / -low))
    if low >= 0:
        return math.floor(math.log2(255 / high))
    scales = [128 / -low] + ([127 / high] if high > 0 else [])
    return math.floor(math.log2(min(scales))) + 1


def _common_zero_bits(weight: IntArray) -> int:
    """Number of low bits that are 0 in every weight, at most 8."""
    return next((bits for bits in range(SYNAPSE_BITS, 0, -1) if not (weight % (1 << bits)).any()), 0)


def _shift_left(weight: IntArray, bits: int) -> IntArray:
    """NumPy's `left_shift`: a negative count gives 0."""
    return weight << bits if bits >= 0 else np.zeros_like(weight)


def _shift_right(weight: IntArray, bits: int) -> IntArray:
    """NumPy's `right_shift`: a negative count gives the sign."""
    return weight >> (bits if bits >= 0 else 63)


def _clip_and_truncate(weight: IntArray, bits: int) -> IntArray:
    """Lava's own step: clip to the range of the signs present, clear low bits."""
    inhibitory = weight.min() < 0 and weight.max() <= 0
    mixed = bool(weight.min() < 0 < weight.max())
    limit = 1 << SYNAPSE_BITS
    magnitude = -weight if inhibitory else weight
    magnitude = magnitude.clip(-limit if mixed else 0, limit - 1)
    cleared = SYNAPSE_BITS - bits + mixed
    magnitude = _shift_left(_shift_right(magnitude, cleared), cleared)
    return -magnitude if inhibitory else magnitude
