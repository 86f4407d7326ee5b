"""Where commands print."""

from rich.console import Console

PLAIN_WIDTH = 140  # of a pipe or a log, where rich would assume 80 columns


def console() -> Console:
    """The terminal in its own width; elsewhere wide enough for every table."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=PLAIN_WIDTH)
