"""Write `search.json`, `search.md` and the plot."""

from collections.abc import Sequence
from pathlib import Path

from neurokd.files import atomic_file, write_json
from neurokd.search.markdown import to_markdown
from neurokd.search.plot import parallel_coordinates
from neurokd.search.spec import Search
from neurokd.search.summary import Summary
from neurokd.search.trials import Trial, distinct

PLOT = "search.svg"


def write_summary(search: Search, summary: Summary, trials: Sequence[Trial], folder: Path) -> Path:
    """Write everything into `folder`, each file whole; returns the Markdown file."""
    write_json(folder / "search.json", summary.to_json(search))
    title = f"{summary.sampled} of {search.space.count:,} subnets of {search.name}"
    drawn = parallel_coordinates(search.space, distinct(trials[2:]), title)
    for name, text in ((PLOT, f"{drawn}\n"), ("search.md", to_markdown(search, summary, PLOT))):
        with atomic_file(folder / name) as part:
            part.write_text(text, encoding="utf-8")
    return folder / "search.md"
