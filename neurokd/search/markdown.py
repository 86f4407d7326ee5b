"""A search's summary as Markdown."""

from neurokd.report.markdown_tables import plain, table
from neurokd.report.numbers import MINUS, big, percent, points, whole, wilson
from neurokd.search.chance import Rank, SpreadTest
from neurokd.search.spec import Search
from neurokd.search.summary import Summary
from neurokd.search.trials import Trial

HEAD = ("", "channels", "depths", "parameters", "MACs", "validation accuracy", "95 % interval")
ALPHA = 0.05  # below this p-value a result is called more than chance


def to_markdown(search: Search, summary: Summary, plot: str) -> str:
    """The whole document; `plot` is the file of the plot beside it."""
    sampler = {"random": "drawn at random", "tpe": "proposed by TPE"}[search.sampler]
    recipe = search.base
    parts = [
        f"# {plain(search.name)}: architecture search",
        f"One supernet of {whole(search.space.count)} subnets, trained for {search.epochs} epochs on "
        f"{plain(summary.data)} with the method {plain(recipe.method.name)}, {_neurons(search)}. "
        f"{summary.sampled} distinct subnets were {sampled(search, summary, sampler)} and evaluated on "
        f"{whole(summary.images)} validation images, each after its BN statistics were found on "
        f"{whole(search.calibration_images)} training images. No test image was used.",
        f"![Parallel coordinates: one line for each subnet]({plot})",
        "## Subnets",
        table(HEAD, rows(summary)),
        "## Does the architecture matter?",
        "\n".join(f"- {line}" for line in findings(search, summary)),
        "Mean accuracy of the subnets with each choice:",
        table(("", "choices, rising, and their means"), _choices(summary)),
        "## Trained from scratch" if summary.retrained else "",
        _retrained(summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def sampled(search: Search, summary: Summary, sampler: str) -> str:
    """How the subnets were chosen; repeats of TPE are said."""
    repeats = search.samples - summary.sampled
    return f"{sampler} ({repeats} more trials repeated one of them)" if repeats else sampler


def rows(summary: Summary) -> list[tuple[str, ...]]:
    """The table: the best subnets, then the ones to compare them with."""
    named = [(str(place), trial) for place, trial in enumerate(summary.top, start=1)]
    named += [("median", summary.median), ("worst", summary.worst)]
    named += [("largest", summary.largest), ("smallest", summary.smallest)]
    return [(name, *_cells(trial)) for name, trial in named]


def findings(search: Search, summary: Summary) -> list[str]:
    """Rank correlations, spread and noise, a sentence each."""
    lines = [
        _correlation("MACs", summary.with_macs),
        _correlation("parameters", summary.with_parameters),
        *_gain(summary.larger_half_gain),
        *(_spread(summary.spread) if summary.spread else []),
        f"With BN statistics from {len(summary.calibration.accuracies)} other draws of "
        f"{whole(search.calibration_images)} training images, the median subnet varies with a standard deviation of "
        f"{points(summary.calibration.sd).lstrip('+')}.",
    ]
    if search.sampler == "tpe":
        lines.append("TPE looks where accuracy is high, so correlations and spread are not those of the whole space.")
    return lines


def _choices(summary: Summary) -> list[tuple[str, str]]:
    return [
        (name, ", ".join(f"{choice}: {percent(mean, summary.images)}" for choice, mean in means.items()))
        for name, means in summary.by_choice.items()
    ]


def _neurons(search: Search) -> str:
    return f"T = {search.base.timesteps}" if search.base.neuron else "as a plain ANN"


def _cells(trial: Trial) -> tuple[str, ...]:
    low, high = wilson(trial.accuracy, trial.images)
    return (
        " ".join(map(str, trial.subnet.channels)),
        " ".join(map(str, trial.subnet.depths)),
        big(trial.parameters),
        big(trial.macs),
        percent(trial.accuracy, trial.images),
        f"{percent(low)} to {percent(high)}",
    )


def _correlation(name: str, rank: Rank | None) -> str:
    if rank is None:
        return f"Rank correlation of accuracy with {name}: not defined, all values of one side are equal."
    return f"Rank correlation of accuracy with {name} (Spearman): {_signed(rank.rho)}, {p_value(rank.p)}."


def _signed(rho: float) -> str:
    return f"{rho:+.2f}".replace("-", MINUS)


def _spread(spread: SpreadTest) -> list[str]:
    """Range and deviation against chance, and what the two say together."""
    lines = []
    for name, against in (("Best less worst", spread.range), ("Standard deviation over subnets", spread.deviation)):
        found, mean, most = (
            f"{100 * value:.2f}" for value in (against.measured, against.by_chance, against.by_chance_95)
        )
        lines.append(
            f"{name}: {found} points. If all {spread.subnets} subnets were equally good, the same images would give "
            f"{mean} on average and less than {most} in 95 % of draws ({p_value(against.p)})."
        )
    differ = min(spread.range.p, spread.deviation.p) < ALPHA / 2  # two tests, so each has half
    lines.append(f"So the subnets {'differ by more than' if differ else 'differ by no more than'} chance.")
    return lines


def _gain(gain: float | None) -> list[str]:
    if gain is None:
        return []
    return [f"The half with more MACs is better by {_signed(100 * gain)} points on average."]


def p_value(p: float) -> str:
    """A p-value as people read it.

    >>> p_value(0.0312), p_value(0.0000007)
    ('p = 0.031', 'p < 0.001')
    """
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def _retrained(summary: Summary) -> str:
    if not summary.retrained:
        return ""
    head = ("", "subnet", "shared weights, validation", "from scratch, validation", "from scratch, test")
    cells = [
        (
            one.why,
            one.subnet.name,
            percent(one.supernet_accuracy, summary.images),
            percent(one.validation_accuracy, summary.images),
            percent(one.test_accuracy, one.test_images),
        )
        for one in summary.retrained
    ]
    note = f"One training each, {whole(summary.retrained[0].test_images)} test images."
    return f"{table(head, cells)}\n\n{note}"
