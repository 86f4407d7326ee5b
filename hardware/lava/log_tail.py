"""The end of a log file, for an error message."""

from pathlib import Path

LINES = 20


def last_lines(log: Path, count: int = LINES) -> str:
    """The last `count` lines of `log`, indented.

    >>> last_lines(Path("no-such-file"))
    '  | (nothing)'
    """
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  | {line}" for line in lines[-count:]) or "  | (nothing)"
