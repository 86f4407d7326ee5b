"""What netx makes of dense matrices, held against lava-dl itself."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from neurokd.errors import NeurokdError
from neurokd.export.network import IntArray
from neurokd.export.network_files.netx_dense import netx_dense_weight, survives_netx

LAVA_SCRIPT = """
import sys
import numpy as np
from lava.lib.dl.netx.utils import optimize_weight_bits
from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

given, found = np.load(sys.argv[1]), {}
for name in given:
    with np.errstate(all="ignore"):
        weight, bits, exponent, _ = optimize_weight_bits(given[name])
    mode = determine_sign_mode(weight)
    found[name] = truncate_weights(clip_weights(weight, mode, num_bits=8), mode, bits).astype(np.int64)
    found[name + "-shift"] = np.array(-exponent)
np.savez(sys.argv[2], **found)
"""


@pytest.mark.parametrize(
    ("weight", "kept"),
    [
        ([[3, -100]], True),  # mixed signs: odd ones too
        ([[254, -256]], True),
        ([[256, -2]], False),  # clipped to 254
        ([[2, -300]], False),  # clipped to -256
        ([[0, 255]], True),
        ([[0, 256]], False),  # all zero
        ([[-16]], False),  # off by one
        ([[-128, -128]], False),
        ([[-300, -2]], False),  # all zero
        ([[0, -201]], False),  # all zero
        ([[0, -200]], True),
        ([[0, 0]], False),  # netx fails
    ],
)
def test_which_matrices_come_through(weight: list[list[int]], kept: bool) -> None:
    assert survives_netx(np.array(weight)) is kept


def test_zeros_are_refused() -> None:
    with pytest.raises(NeurokdError, match="all values are 0, which stock netx cannot load"):
        netx_dense_weight(np.zeros((2, 2), dtype=int))


def test_even_matrices_of_both_signs_always_come_through() -> None:
    rng = np.random.default_rng(0)
    for largest in (1, 2, 5, 31, 64, 127):
        for _ in range(50):
            weight = rng.integers(-largest, largest + 1, (3, 4)) * 2
            weight[0, :2] = -2, 2
            assert survives_netx(weight)


def matrices() -> dict[str, IntArray]:
    """Every single weight, pairs at the edges, and random matrices of every range."""
    rng = np.random.default_rng(0)
    edges = [-300, -257, -256, -255, -200, -129, -128, -127, -2, -1, 0, 1, 2, 127, 128, 254, 255, 256, 300]
    found = [np.array([[value]]) for value in range(-300, 301)]
    found += [np.array([[a, b]]) for a in range(-300, 301, 3) for b in edges]
    for _ in range(2000):
        low, high = sorted(rng.integers(-400, 400, 2))
        found.append(rng.integers(low, high + 1, (3, 4)) << rng.integers(0, 3))
    return {str(index): weight for index, weight in enumerate(found) if weight.any()}


@pytest.mark.lava
def test_equals_lava(tmp_path: Path) -> None:
    from neurokd.hardware.lava.environment import lava_python

    given = matrices()
    np.savez(tmp_path / "given.npz", **given)  # type: ignore[arg-type]
    (tmp_path / "script.py").write_text(LAVA_SCRIPT)
    files = [str(tmp_path / name) for name in ("script.py", "given.npz", "found.npz")]
    subprocess.run([str(lava_python().python), *files], check=True, capture_output=True, timeout=300)
    with np.load(tmp_path / "found.npz") as found:
        for name, weight in given.items():
            matrix, shift = netx_dense_weight(weight)
            assert shift == found[name + "-shift"], weight
            assert np.array_equal(matrix, found[name]), weight
