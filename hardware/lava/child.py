"""Run a program in a group of its own under a time limit, and leave nothing of it behind."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from neurokd.errors import NeurokdError
from neurokd.hardware.lava.log_tail import last_lines

PATIENCE_S = 3.0


class LavaFailed(NeurokdError):
    """Lava crashed or did not finish in time."""


def run_child(command: list[str], log: Path, timeout_s: float, environment: Mapping[str, str] | None = None) -> None:
    """Run `command` with its output in `log`; raise LavaFailed if it fails or takes longer than `timeout_s`.

    Whatever happens, Ctrl-C included, no process of its group is alive when this returns.
    """
    with log.open("wb") as stream:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        try:
            code = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise LavaFailed(
                f"Lava: not finished after {timeout_s:g} s and ended; "
                f"allow more time or run fewer samples. Its last lines:\n{last_lines(log)}"
            ) from None
        finally:
            _end_group(child)
    if code != 0:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        raise LavaFailed(f"Lava: ended with {how}. Its last lines:\n{last_lines(log)}")


def group_members(group: int) -> list[int]:
    """Processes of a process group, without those that have ended and only await their parent."""
    if not Path("/proc/self/stat").exists():
        try:
            os.killpg(group, 0)
        except OSError:
            return []
        return [group]
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):  # ended meanwhile
            continue
        if int(its_group) == group and state not in "ZX":
            members.append(int(stat.parent.name))
    return members


def _end_group(child: "subprocess.Popen[bytes]") -> None:
    """Ask first: SIGTERM spares Python's tracker of shared memory, which frees what the others leave."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not group_members(child.pid):
            break
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        limit = time.monotonic() + PATIENCE_S
        while time.monotonic() < limit:
            child.poll()
            if not group_members(child.pid):
                break
            time.sleep(0.02)
    child.wait()
