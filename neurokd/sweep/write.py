"""Write `sweep.json`, `sweep.md` and the charts."""

from pathlib import Path

from neurokd.files import atomic_file, write_json
from neurokd.sweep.charts import charts
from neurokd.sweep.markdown import to_markdown
from neurokd.sweep.summary import Summary


def write_summary(summary: Summary, folder: Path) -> Path:
    """Write everything into `folder`, each file whole; returns the Markdown file."""
    drawn = charts(summary)
    for chart in drawn:
        _write(folder / chart.file, chart.svg)
    write_json(folder / "sweep.json", summary.to_json())
    _write(folder / "sweep.md", to_markdown(summary, [(chart.caption, chart.file) for chart in drawn]))
    return folder / "sweep.md"


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as part:
        part.write_text(text, encoding="utf-8")
