"""Text and tables as Markdown shows them."""

import re
from collections.abc import Iterable, Sequence


def plain(text: str) -> str:
    """`text` as Markdown shows it literally, on one line.

    >>> plain("a|b_c")
    'a\\\\|b\\\\_c'
    """
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#!])", r"\\\1", flat)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells are shown literally."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(plain(cell) for cell in row) + " |" for row in rows)])
