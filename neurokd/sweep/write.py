"""Write `sweep.json`, `sweep.md` and the charts."""

from pathlib import Path

from neurokd.files import atomic_file, write_json
from neurokd.sweep.markdown import to_markdown
from neurokd.sweep.summary import Summary


def write_summary(summary: Summary, folder: Path) -> Path:
    """Write everything into `folder`, each file whole; returns the Markdown file."""
    write_json(folder / "sweep.json", summary.to_json())
    with atomic_file(folder / "sweep.md") as part:
        part.write_text(to_markdown(summary), encoding="utf-8")
    return folder / "sweep.md"
