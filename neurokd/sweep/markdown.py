"""A sweep's summary as Markdown."""

from collections.abc import Sequence

from neurokd.report.markdown_tables import plain, table
from neurokd.report.numbers import duration, percent, points
from neurokd.sweep.significance import Spread
from neurokd.sweep.summary import Row, Summary

HEAD = ("variant", "seeds", "T", "accuracy", "gain", "step spread", "firing rate", "training")


def to_markdown(summary: Summary, charts: Sequence[tuple[str, str]] = ()) -> str:
    """The whole document; `charts` are captions and file names beside it."""
    parts = [
        f"# {plain(summary.title)}",
        _state(summary),
        plain(_caption(summary)),
        "## Accuracy",
        table(HEAD, [cells(row, summary) for row in summary.rows]),
        _legend(summary),
        *(f"![{plain(caption)}]({file})" for caption, file in charts),
        "## Accuracy after each step" if any(len(row.accuracy_per_step) > 1 for row in summary.rows) else "",
        _steps(summary),
        "## Runs that are missing" if summary.missing else "",
        "\n".join(f"- {plain(name)}: {plain(_why(name, summary))}" for name in summary.missing),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def cells(row: Row, summary: Summary) -> tuple[str, ...]:
    """One row of the table, as text."""
    images = summary.test_images
    gained = "" if row.gain is None else f"{points(row.gain.mean, images)}{row.gain.mark}"
    return (
        row.name,
        str(len(row.seeds)) if len(row.seeds) == row.planned else f"{len(row.seeds)} of {row.planned}",
        str(row.timesteps),
        accuracy(row.accuracy, images),
        "baseline" if row.variant == summary.baseline else gained,
        "" if row.step_spread is None or row.timesteps == 1 else points(row.step_spread.mean, images).lstrip("+"),
        "" if row.firing_rate is None else f"{row.firing_rate.mean:.3f}",
        "" if row.train_seconds is None else duration(row.train_seconds.mean),
    )


def accuracy(value: Spread | None, images: int | None) -> str:
    """Mean and standard deviation in percent.

    >>> print(ascii(accuracy(Spread(0.9731, 0.0012, 3), 10_000)))
    '97.31 \\xb1 0.12\\u202f%'
    """
    if value is None:
        return "-"
    mean = percent(value.mean, images)
    return mean if value.sd is None else f"{mean[:-2]} ± {percent(value.sd, images)}"


def _state(summary: Summary) -> str:
    done, planned = len(summary.states) - len(summary.missing), len(summary.states)
    if not summary.missing:
        return f"All {planned} runs are finished."
    return f"**Partial: {done} of {planned} runs are finished.** Means are over the seeds that are."


def _caption(summary: Summary) -> str:
    if summary.data is None:
        return "Nothing was measured yet."
    taught = ", ".join(f"{t['model']} {percent(t['accuracy'], summary.test_images)}" for t in summary.teachers)
    return f"Test accuracy on {summary.data}, {summary.test_images} test samples. Teacher: {taught or 'none'}."


def _legend(summary: Summary) -> str:
    lines = [
        "Accuracy is the mean over seeds ± the sample standard deviation (n - 1), at the last of T steps.",
        "Step spread is the largest less the smallest accuracy over the steps of a run. "
        "Firing rate is the mean over the layers, in spikes per neuron and step. "
        "Training is the time of one run without its teacher, since it was last continued if it was interrupted.",
    ]
    if summary.baseline is not None:
        lines.insert(
            1,
            f"Gain is over {plain(summary.baseline)}, in percentage points, on the seeds that both have. "
            "Two-sided paired t-test by seed: \\* p < 0.05, \\*\\* p < 0.01, not corrected for the number of rows; "
            "no mark with fewer than two common seeds. Three seeds are little: no mark does not mean no difference.",
        )
    return "\n".join(f"- {line}" for line in lines)


def _steps(summary: Summary) -> str:
    longest = max((len(row.accuracy_per_step) for row in summary.rows), default=0)
    if longest < 2:
        return ""
    rows = [
        [row.name, *(accuracy(one, summary.test_images) for one in row.accuracy_per_step)]
        for row in summary.rows
        if row.accuracy_per_step
    ]
    head = ["variant", *(f"t = {step}" for step in range(1, longest + 1))]
    return table(head, [row + [""] * (len(head) - len(row)) for row in rows])


def _why(name: str, summary: Summary) -> str:
    state = summary.states[name]
    return f"failed: {summary.failures[name]}" if state == "failed" else state
