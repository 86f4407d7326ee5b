"""Samplers: random without repeats, TPE towards what is good, both the same after an interruption."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from neurokd.errors import NeurokdError
from neurokd.search.samplers import SAMPLERS, Sampler, random_sampler, tpe_sampler
from neurokd.search.space import Space, Subnet
from neurokd.search.spec import load_search
from neurokd.search.trials import Trial

SPACE = Space(channels=[[4, 6, 8, 10], [8, 12, 16, 20]], depths=[[1, 2, 3], [1, 2, 3]])


def measured(subnet: Subnet) -> Trial:
    """A landscape with its peak at the widest and shallowest."""
    wrong = 40 - sum(subnet.channels) + 5 * sum(subnet.depths)
    return Trial("tpe", subnet, 1, 1, 200, tuple(range(wrong)))


def run(sampler: Sampler, count: int, trials: list[Trial]) -> list[Trial]:
    found = list(trials)
    while len(found) < count:
        found.append(measured(sampler(found)))
    return found


def test_random_draws_every_subnet_once() -> None:
    trials = run(random_sampler(SPACE, 0), SPACE.count, [])
    assert len({trial.subnet for trial in trials}) == SPACE.count
    assert [t.subnet for t in run(random_sampler(SPACE, 1), 20, [])] != [t.subnet for t in trials[:20]]


def test_tpe_finds_better_subnets_than_chance() -> None:
    pytest.importorskip("optuna")
    proposed = run(tpe_sampler(SPACE, 0), 40, [])
    drawn = run(random_sampler(SPACE, 0), 40, [])
    late, anywhere = ([t.accuracy for t in trials[20:]] for trials in (proposed, drawn))
    assert sum(late) / len(late) > sum(anywhere) / len(anywhere) + 0.03


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_continued_search_takes_the_same_subnets(name: str) -> None:
    if name == "tpe":
        pytest.importorskip("optuna")
    whole = run(SAMPLERS[name](SPACE, 5), 24, [])
    half = run(SAMPLERS[name](SPACE, 5), 13, [])
    assert run(SAMPLERS[name](SPACE, 5), 24, half) == whole


def test_without_optuna_tpe_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(NeurokdError, match=r"needs Optuna, which is not installed; .*pip install 'neurokd\[search\]'"):
        tpe_sampler(SPACE, 0)


def test_the_error_comes_before_anything_is_trained(
    write_search: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from neurokd.search.run import run_search

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(NeurokdError, match="needs Optuna"):
        run_search(load_search(write_search(sampler="tpe")), tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_random_search_does_not_import_optuna() -> None:
    code = "import sys; import neurokd.search.run; print('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
