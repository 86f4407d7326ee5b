"""Which Lava is used, and what is said where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from neurokd.hardware.lava import environment
from neurokd.hardware.lava.environment import LavaMissing, environment_dir, interpreter_of, lava_python, status

FakePython = Callable[..., Path]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No managed environment, no Lava beside neurokd."""
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NEUROKD_LAVA_PYTHON", raising=False)
    monkeypatch.setattr(environment, "_in_this_interpreter", lambda: None)


def managed(fake_python: FakePython, complete: bool = True) -> Path:
    python = fake_python(interpreter_of(environment_dir()), "3.10.9", lava=True)
    if complete:
        (environment_dir() / environment.MARKER).write_text("{}")
    return python


def test_missing_lava_says_how_to_get_it() -> None:
    assert not status().installed
    with pytest.raises(LavaMissing, match=r"does not exist; run `neurokd lava install`"):
        lava_python()


def test_the_managed_environment_is_found(fake_python: FakePython) -> None:
    python = managed(fake_python)
    found = status()
    assert (found.installed, found.python, found.found) == (True, python, "managed environment")
    assert found.versions == {"lava-nc": "0.10.0", "lava-dl": "0.6.0"}
    assert found.as_dict()["python"] == str(python)


def test_a_half_built_environment_does_not_count(fake_python: FakePython) -> None:
    managed(fake_python, complete=False)
    assert "half-built" in str(status().problem)


def test_an_environment_whose_python_is_gone_does_not_count(fake_python: FakePython) -> None:
    managed(fake_python).unlink()
    assert not status().installed


def test_a_chosen_python_with_lava_comes_first(
    tmp_path: Path, fake_python: FakePython, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = managed(fake_python)
    chosen = fake_python(tmp_path / "mine", "3.10.1", lava=True)
    monkeypatch.setenv("NEUROKD_LAVA_PYTHON", str(chosen))
    assert status().python == chosen
    fake_python(chosen, "3.10.1", lava=False)  # a plain 3.10 to build with
    assert status().python == python
