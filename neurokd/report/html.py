"""The report as one HTML file: no script, no request, every string escaped."""

from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from neurokd.report import numbers
from neurokd.report.chart_bars import bar_chart, share_bar
from neurokd.report.chart_energy import energy_chart
from neurokd.report.chart_lines import Frame, Series, line_chart
from neurokd.report.chart_waterfall import LABELS, is_wide, waterfall_chart
from neurokd.report.curves import Curve
from neurokd.report.summary import Summary
from neurokd.report.verdict import lava_name, spikes_of

_HERE = Path(__file__).parent
_WORDS = {"passed": "Verified", "unverified": "Not verified", "failed": "Failed"}
_MARKS = {
    "passed": "M10 17.5 L15 22.5 L24.5 12",
    "unverified": "M17 9.5 V18.5 M17 24 V24.2",
    "failed": "M11.5 11.5 L22.5 22.5 M22.5 11.5 L11.5 22.5",
}


def glossary() -> list[dict[str, str]]:
    """The terms that a report explains, each with `term` and `text`."""
    return list(yaml.safe_load((_HERE / "glossary.yaml").read_text(encoding="utf-8")))


def to_html(summary: Summary) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        {name: getattr(numbers, name) for name in ("percent", "points", "whole", "big", "energy", "moment", "shape")}
    )
    environment.globals.update(share_bar=share_bar, spikes_of=spikes_of, lava_name=lava_name, labels=LABELS)
    return environment.get_template("report.html").render(
        s=summary,
        run=summary.run,
        result=summary.run.result,
        manifest=summary.run.manifest,
        word=_WORDS[summary.verdict.status],
        mark=_MARKS[summary.verdict.status],
        css=Markup((_HERE / "report.css").read_text(encoding="utf-8")),  # ours, not the run's
        charts=_charts(summary),
        wide=is_wide(summary.waterfall),
        glossary=glossary(),
    )


def _charts(summary: Summary) -> dict[str, Markup]:
    result, manifest = summary.run.result, summary.run.manifest
    layers = [layer for layer in manifest.layers if not layer.readout] if manifest else []
    rates = [(x.name, x.firing_rate) for x in layers] if manifest else list(result.student.firing_rate.items())
    best = result.student.best_epoch
    mark = ("best epoch", float(best)) if best is not None else None
    return {
        "waterfall": waterfall_chart(summary.waterfall),
        "steps": _steps_chart(summary),
        "rates": bar_chart(rates, "Firing rate of every layer", numbers.percent),
        "spikes": bar_chart(
            [(x.name, x.spikes_per_sample) for x in layers], "Spikes per sample of every layer", numbers.big
        ),
        "energy": energy_chart(manifest.energy if manifest else ()),
        "loss": _training_chart(summary.losses, Frame("Loss by epoch", "epoch", numbers.three_digits, mark=mark)),
        "accuracy": _training_chart(
            summary.accuracies,
            Frame("Accuracy by epoch", "epoch", _axis_percent, mark=mark, ceiling=1.0, least=0.05),
        ),
    }


def _steps_chart(summary: Summary) -> Markup:
    result, manifest = summary.run.result, summary.run.manifest
    curves = [
        ("float student", result.student.accuracy_per_step),
        ("quantised", manifest.accuracy_per_step if manifest else ()),
    ]
    series = [Series(name, tuple((t, y) for t, y in enumerate(ys, start=1))) for name, ys in curves if ys]
    level = ("teacher", result.teacher.accuracy) if result.teacher else None
    frame = Frame("Accuracy after t time steps", "time steps t", _axis_percent, level=level, ceiling=1.0, least=0.05)
    return line_chart(series, frame)


def _training_chart(curves: tuple[Curve, ...], frame: Frame) -> Markup:
    return line_chart([Series(curve.name.replace("_", " "), curve.points) for curve in curves], frame)


def _axis_percent(share: float) -> str:
    return f"{round(100 * share, 2):g}"
