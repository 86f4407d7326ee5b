"""Skip, with the reason, what this machine cannot run."""

import functools
import os

import pytest


@functools.cache
def lava_problem() -> str | None:
    """Why Lava cannot run here, or None."""
    if os.environ.get("NEUROKD_SKIP_LAVA"):
        return "NEUROKD_SKIP_LAVA is set"
    from neurokd.hardware.lava.environment import status

    found = status()
    return None if found.installed else f"{found.summary()}; run `neurokd lava install`"


@functools.cache
def gpu_problem() -> str | None:
    """Why there is no GPU here, or None."""
    import torch

    return None if torch.cuda.is_available() else "no GPU"


PROBLEMS = {"lava": lava_problem, "gpu": gpu_problem}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Hold the markers of a test against the machine."""
    for marker, problem in PROBLEMS.items():
        if item.get_closest_marker(marker) and problem():
            pytest.skip(str(problem()))
