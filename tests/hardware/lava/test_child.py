"""Nothing of a child process survives: not a time-out, not a crash, not Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neurokd.hardware.lava.child import LavaFailed, group_members, run_child


def script(folder: Path, body: str) -> list[str]:
    path = folder / "child.sh"
    path.write_text(f"echo $$ > {folder}/group\n{body}\n")
    return ["/bin/sh", str(path)]


def survivors(folder: Path) -> list[int]:
    return group_members(int((folder / "group").read_text()))


def wait_for(path: Path) -> None:
    limit = time.monotonic() + 30
    while not path.exists() or not path.read_text().strip():
        assert time.monotonic() < limit, f"{path} did not appear"
        time.sleep(0.02)


def test_success_returns(tmp_path: Path) -> None:
    run_child(script(tmp_path, "echo fine"), tmp_path / "log", 10)
    assert (tmp_path / "log").read_text() == "fine\n"


def test_a_hanging_child_and_its_children_end_at_the_time_limit(tmp_path: Path) -> None:
    command = script(tmp_path, "sleep 300 & sleep 300 & echo compiled; wait")
    started = time.monotonic()
    with pytest.raises(LavaFailed, match=r"(?s)not finished after 0\.5 s.*\| compiled"):
        run_child(command, tmp_path / "log", 0.5)
    assert time.monotonic() - started < 5
    assert survivors(tmp_path) == []


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    command = script(tmp_path, "trap '' TERM; while :; do sleep 1; done")
    with pytest.raises(LavaFailed):
        run_child(command, tmp_path / "log", 0.5)
    assert survivors(tmp_path) == []


def test_a_crash_shows_its_last_lines_and_leaves_no_orphan(tmp_path: Path) -> None:
    command = script(tmp_path, "sleep 300 & echo ValueError: no such layer >&2; exit 7")
    with pytest.raises(LavaFailed, match=r"(?s)exit code 7.*ValueError: no such layer"):
        run_child(command, tmp_path / "log", 10)
    assert survivors(tmp_path) == []


def test_a_signal_is_named(tmp_path: Path) -> None:
    with pytest.raises(LavaFailed, match="signal SIGSEGV"):
        run_child(script(tmp_path, "kill -SEGV $$"), tmp_path / "log", 10)


def heed_ctrl_c() -> None:
    """A shell that starts the tests in the background has told them, and their children, to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_the_group(tmp_path: Path) -> None:
    command = script(tmp_path, "sleep 300 & sleep 300")
    code = "import sys; from pathlib import Path; from neurokd.hardware.lava.child import run_child; "
    code += f"run_child({command!r}, Path({str(tmp_path / 'log')!r}), 300)"
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c)
    wait_for(tmp_path / "group")
    os.kill(parent.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in parent.communicate(timeout=30)[1]
    assert survivors(tmp_path) == []
