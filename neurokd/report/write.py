"""Write a run's report in its three forms."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neurokd.files import atomic_file
from neurokd.report.data import load
from neurokd.report.html import to_html
from neurokd.report.markdown import to_markdown
from neurokd.report.summary import Summary, summarise


@dataclass(frozen=True)
class Written:
    """The three files of a report and what they say."""

    html: Path
    markdown: Path
    json: Path
    summary: Summary


def write_report(folder: Path, output: Path | None = None) -> Written:
    """Write `report.html`, `report.md` and `report.json` into `output`, by default `folder/report`.

    All three are rendered before the first is written, and each is written whole or not at all.
    Raises NeurokdError that names the file of the run which is missing or malformed.
    """
    summary = summarise(load(folder))
    target = output or folder / "report"
    texts = {
        target / "report.html": to_html(summary),
        target / "report.md": to_markdown(summary),
        target / "report.json": json.dumps(to_json(summary), indent=2, allow_nan=False) + "\n",
    }
    for path, text in texts.items():
        with atomic_file(path) as part:
            part.write_text(text, encoding="utf-8")
    html, markdown, data = texts
    return Written(html, markdown, data, summary)


def to_json(summary: Summary) -> dict[str, Any]:
    """Every number that the report shows, as plain values."""
    run = summary.run
    return {
        "format": 1,
        "neurokd": summary.version,
        "verdict": asdict(summary.verdict),
        "tiles": [asdict(tile) for tile in summary.tiles],
        "result": run.result.model_dump(mode="json"),
        "manifest": run.manifest.model_dump(mode="json") if run.manifest else None,
        "waterfall": [asdict(stage) for stage in summary.waterfall],
        "totals": asdict(summary.totals) if summary.totals else None,
        "curves": [asdict(curve) for curve in run.curves],
        "training": dict(summary.training),
        "provenance": dict(summary.provenance),
        "environment": run.environment,
        "recipe": run.recipe,
    }
