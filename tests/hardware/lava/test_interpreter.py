"""Where a Python 3.10 is looked for, and in which order."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from neurokd.errors import NeurokdError
from neurokd.hardware.lava import interpreter
from neurokd.hardware.lava.interpreter import ask, find_python

FakePython = Callable[..., Path]


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with no Python 3.10 at all; the tests add what they need."""
    monkeypatch.setattr(interpreter, "sys", SimpleNamespace(version_info=(3, 12, 1), executable=sys.executable))
    monkeypatch.setattr(interpreter, "_own_uv", lambda tried: tried.append("no network"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NEUROKD_LAVA_PYTHON", raising=False)


def test_the_order_is_variable_path_pyenv_uv(
    tmp_path: Path, fake_python: FakePython, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_uv = fake_python(tmp_path / "uv-python", "3.10.5")
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f"#!/bin/sh\necho {from_uv}\n")
    uv.chmod(0o755)
    assert find_python().path == from_uv

    old = fake_python(tmp_path / "pyenv" / "versions" / "3.10.4" / "bin" / "python", "3.10.4")
    new = fake_python(tmp_path / "pyenv" / "versions" / "3.10.13" / "bin" / "python", "3.10.13")
    assert old != new
    assert find_python().path == new
    assert find_python().found == "pyenv"

    on_path = fake_python(tmp_path / "bin" / "python3.10", "3.10.12")
    assert find_python().path == on_path

    chosen = fake_python(tmp_path / "mine", "3.10.1")
    monkeypatch.setenv("NEUROKD_LAVA_PYTHON", str(chosen))
    assert (find_python().path, find_python().version) == (chosen, "3.10.1")


def test_a_shim_that_refuses_is_passed_over(tmp_path: Path, fake_python: FakePython) -> None:
    fake_python(tmp_path / "bin" / "python3.10")  # a pyenv shim: there, but not selected
    fake_python(tmp_path / "bin" / "python3", "3.11.2")
    good = fake_python(tmp_path / "pyenv" / "versions" / "3.10.13" / "bin" / "python", "3.10.13")
    assert find_python().path == good


def test_uv_fetches_a_python_it_does_not_have(tmp_path: Path, fake_python: FakePython) -> None:
    fetched = fake_python(tmp_path / "fetched", "3.10.9")
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    mark = tmp_path / "installed"
    uv.write_text(f'#!/bin/sh\nif [ "$2" = install ]; then : > {mark}; exit; fi\n[ -e {mark} ] && echo {fetched}\n')
    uv.chmod(0o755)
    assert find_python().path == fetched


def test_a_chosen_interpreter_is_not_silently_replaced(
    tmp_path: Path, fake_python: FakePython, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_python(tmp_path / "bin" / "python3.10", "3.10.12")
    monkeypatch.setenv("NEUROKD_LAVA_PYTHON", str(fake_python(tmp_path / "mine", "3.12.0")))
    with pytest.raises(NeurokdError, match=r"NEUROKD_LAVA_PYTHON.*is Python 3\.12\.0.*point it to a Python 3\.10"):
        find_python()


def test_nothing_found_says_what_was_tried_and_what_to_do(tmp_path: Path, fake_python: FakePython) -> None:
    fake_python(tmp_path / "bin" / "python3.10")
    with pytest.raises(NeurokdError) as error:
        find_python()
    for part in (
        "uv python install 3.10",
        "pyenv install 3.10",
        "NEUROKD_LAVA_PYTHON",
        "no such version",
        "no network",
    ):
        assert part in str(error.value)


def test_an_interpreter_that_hangs_is_given_up(tmp_path: Path, fake_python: FakePython) -> None:
    with pytest.raises(ValueError, match=r"no answer after 0\.2 s"):
        ask(fake_python(tmp_path / "slow", other="exec /bin/sleep 60"), "1", timeout_s=0.2)
