"""The managed environment is built whole, once, and repaired where it is not."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from neurokd.errors import NeurokdError
from neurokd.hardware.lava import environment
from neurokd.hardware.lava import install as lava
from neurokd.hardware.lava.environment import MARKER, environment_dir, interpreter_of, status
from neurokd.hardware.lava.interpreter import Interpreter

FakePython = Callable[..., Path]
Builder = Callable[[Interpreter, Path, Path], None]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, fake_python: FakePython, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python 3.10 without Lava and an empty cache."""
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NEUROKD_LAVA_PYTHON", str(fake_python(tmp_path / "python3.10", "3.10.9")))
    monkeypatch.setattr(environment, "_in_this_interpreter", lambda: None)


@pytest.fixture
def build(fake_python: FakePython) -> Builder:
    """A builder that takes no time."""

    def make(interpreter: Interpreter, folder: Path, log: Path) -> None:
        fake_python(interpreter_of(folder), interpreter.version, lava=True)

    return make


def test_install_builds_once(build: Builder) -> None:
    built: list[Path] = []

    def counted(interpreter: Interpreter, folder: Path, log: Path) -> None:
        built.append(folder)
        build(interpreter, folder, log)

    assert lava.install(build=counted).installed
    assert lava.install(build=counted).found == "managed environment"
    assert built == [environment_dir()]
    marker = json.loads((environment_dir() / MARKER).read_text())
    assert "lava-nc==0.10.0" in marker["packages"]


def test_a_half_built_environment_is_rebuilt(build: Builder) -> None:
    def broken(interpreter: Interpreter, folder: Path, log: Path) -> None:
        build(interpreter, folder, log)
        (folder / "rest").touch()
        raise NeurokdError("no network")

    with pytest.raises(NeurokdError, match="no network"):
        lava.install(build=broken)
    assert "half-built" in str(status().problem)
    assert lava.install(build=build).installed
    assert not (environment_dir() / "rest").exists()


def test_an_environment_whose_python_is_gone_is_rebuilt(build: Builder) -> None:
    lava.install(build=build)
    interpreter_of(environment_dir()).unlink()
    assert lava.install(build=build).installed


SCRIPT = """
import sys, time
from pathlib import Path
from neurokd.hardware.lava.environment import interpreter_of
from neurokd.hardware.lava.install import install

def build(interpreter, folder, log):
    with open(sys.argv[1], "a") as builds:
        builds.write("built ")
    (folder / "bin").mkdir(parents=True)
    time.sleep(1.0)
    interpreter_of(folder).write_text(Path(sys.argv[2]).read_text())
    interpreter_of(folder).chmod(0o755)

print(install(build=build).installed)
"""


def test_two_installs_at_once_build_one_environment(tmp_path: Path, fake_python: FakePython) -> None:
    python = fake_python(tmp_path / "with-lava", "3.10.9", lava=True)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "builds"), str(python)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in both] == ["True", "True"]
    assert (tmp_path / "builds").read_text() == "built "


def test_a_failing_step_shows_its_last_lines(tmp_path: Path, fake_python: FakePython) -> None:
    python = fake_python(tmp_path / "bad", "3.10.9", other="echo disk on fire; exit 3")
    with pytest.raises(NeurokdError, match=r"(?s)exit code 3.*neurokd lava install.*disk on fire"):
        lava.build_environment(Interpreter(python, "3.10.9", "PATH"), tmp_path / "env", tmp_path / "env.log")


def test_a_full_disk_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lava.shutil, "disk_usage", lambda path: SimpleNamespace(free=1.5e9))
    with pytest.raises(NeurokdError, match=r"1\.5 GB are free.*NEUROKD_CACHE"):
        lava.install()


def test_a_cache_that_cannot_be_written_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(NeurokdError, match="set NEUROKD_CACHE to a folder that you may write to"):
        lava.install()
