"""Means, gains and marks against figures worked out by hand; what a partial campaign says."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.sweep.charts import charts
from neurokd.sweep.grid import Point, points
from neurokd.sweep.significance import Gain, gain, spread
from neurokd.sweep.spec import Sweep, load_sweep
from neurokd.sweep.summary import Row, summarise
from neurokd.sweep.write import write_summary

Write = Callable[..., Path]
Finish = Callable[..., None]
VARIANTS = {"ce": {}, "tser": {"method": "tser"}}


def campaign(file: Path, tmp_path: Path) -> tuple[Sweep, list[Point]]:
    """The sweep in `file`, its points below `tmp_path`."""
    sweep = load_sweep(file)
    return sweep, points(sweep, tmp_path / "out")


def row(rows: list[Row], name: str) -> Row:
    """The row of that name."""
    return next(one for one in rows if one.name == name)


def test_mean_and_sample_deviation() -> None:
    found = spread([0.90, 0.91, 0.95])  # mean 0.92; squares 4, 1, 9 e-4; 14e-4 / 2
    assert found is not None
    assert found.mean == pytest.approx(0.92) and found.sd == pytest.approx(math.sqrt(7e-4)) and found.n == 3
    one = spread([0.5])
    assert one is not None and one.sd is None
    assert spread([]) is None


def test_p_of_two_and_three_seeds_by_the_closed_forms() -> None:
    # differences 1, 2, 3 points: t = 2 / (1 / sqrt 3) = sqrt 12; two degrees: p = 1 - t / sqrt(t^2 + 2)
    three = gain({0: 0.91, 1: 0.93, 2: 0.95}, {0: 0.90, 1: 0.91, 2: 0.92})
    assert three is not None and three.mean == pytest.approx(0.02)
    assert three.p == pytest.approx(1 - math.sqrt(12 / 14)) and three.mark == ""
    # differences 1, 3 points: t = 2; one degree: p = 1 - 2/pi atan(t)
    two = gain({0: 0.91, 1: 0.94, 5: 0.1}, {0: 0.90, 1: 0.91, 7: 0.9})
    assert two is not None and two.n == 2 and two.p == pytest.approx(1 - 2 / math.pi * math.atan(2))


@given(
    st.lists(st.integers(-300, 300), min_size=3, max_size=3), st.lists(st.integers(8000, 9000), min_size=3, max_size=3)
)
def test_p_of_three_seeds_is_the_closed_form(differences: list[int], levels: list[int]) -> None:
    assume(len(set(differences)) > 1)
    baseline = {seed: level / 10_000 for seed, level in enumerate(levels)}
    found = gain({seed: (levels[seed] + differences[seed]) / 10_000 for seed in baseline}, baseline)
    mean = sum(differences) / 3
    t = abs(mean) / math.sqrt(sum((one - mean) ** 2 for one in differences) / 2 / 3)
    assert found is not None and found.p == pytest.approx(1 - t / math.sqrt(t * t + 2), abs=1e-7)


def test_marks_and_where_there_are_none() -> None:
    assert [Gain(0.01, p, 3).mark for p in (0.05, 0.049, 0.01, 0.009, None)] == ["", "*", "*", "**", ""]
    single = gain({0: 0.9}, {0: 0.8, 1: 0.8})
    assert single is not None and single.p is None and single.n == 1
    # equal but for rounding: a t-test would call this as good as certain
    equal = gain({0: 0.3, 1: 0.9722222}, {0: 0.1, 1: 0.7722222})
    assert equal is not None and equal.p is None and equal.mark == ""
    assert gain({0: 0.9}, {1: 0.9}) is None


def test_rows_gather_seeds_and_compare_with_the_baseline(write: Write, tmp_path: Path, finish: Finish) -> None:
    file = write(seeds=[0, 1], variants=VARIANTS, baseline="ce", grid={"timesteps": [1, 2]}, title="A | B")
    sweep, found = campaign(file, tmp_path)
    for point in found:
        last = {"ce": 0.90, "tser": 0.92}[point.variant] + 0.01 * point.seed * (point.variant == "tser")
        finish(point, [0.85, last][-point.recipe.timesteps :], firing_rate=0.2 + 0.1 * point.seed)
    summary = summarise(sweep, found)
    assert [one.name for one in summary.rows] == [
        "ce, timesteps 1",
        "ce, timesteps 2",
        "tser, timesteps 1",
        "tser, timesteps 2",
    ]
    tser = row(summary.rows, "tser, timesteps 2")
    assert tser.accuracy is not None and tser.gain is not None and tser.step_spread is not None and tser.firing_rate
    assert tser.seeds == {0: pytest.approx(0.92), 1: pytest.approx(0.93)}
    assert tser.accuracy.mean == pytest.approx(0.925) and tser.accuracy.sd == pytest.approx(0.01 / math.sqrt(2))
    assert [one.mean for one in tser.accuracy_per_step] == pytest.approx([0.85, 0.925])
    assert tser.gain.mean == pytest.approx(0.025) and tser.step_spread.mean == pytest.approx(0.075)
    assert tser.firing_rate.mean == pytest.approx(0.25)
    assert row(summary.rows, "ce, timesteps 2").gain is None
    text = write_summary(summary, tmp_path / "out").read_text()
    assert "All 4 runs" not in text and "All 8 runs are finished." in text and "# A \\| B" in text
    assert "| tser, timesteps 2 | 2 | 2 | 92.50 ± 0.71 % | +2.50 points | 7.50 points | 0.250 |" in text
    assert "Teacher: vgg-tiny 95.00" in text and "paired t-test" in text and "Three seeds are little" in text
    stored = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert stored["missing"] == [] and stored["rows"][3]["gain"]["mark"] == ""


def test_a_partial_campaign_says_so(write: Write, tmp_path: Path, finish: Finish) -> None:
    sweep, found = campaign(write(seeds=[0, 1, 2], variants=VARIANTS, baseline="ce"), tmp_path)
    for point in found[:3]:  # both of seed 0, ce of seed 1
        finish(point, [0.8, 0.9])
    summary = summarise(sweep, found)
    assert summary.missing == ["tser-s1", "ce-s2", "tser-s2"]
    text = write_summary(summary, tmp_path / "out").read_text()
    assert "**Partial: 3 of 6 runs are finished.**" in text
    assert "| tser | 1 of 3 |" in text and "| ce | 2 of 3 |" in text and "- ce-s2: waiting" in text
    tser = row(summary.rows, "tser")
    assert tser.gain is not None and tser.gain.n == 1 and tser.gain.mark == ""


def test_nothing_measured_yet(write: Write, tmp_path: Path) -> None:
    sweep, found = campaign(write(variants=VARIANTS), tmp_path)
    text = write_summary(summarise(sweep, found), tmp_path / "out").read_text()
    assert "Partial: 0 of 2" in text and "Nothing was measured yet." in text and ".svg" not in text


def test_results_of_another_recipe_are_not_mixed_in(write: Write, tmp_path: Path, finish: Finish) -> None:
    _, found = campaign(write(), tmp_path)
    finish(found[0], [0.8, 0.9])
    sweep, changed = campaign(write(variants={"small": {"training.epochs": 9}}), tmp_path)
    with pytest.raises(NeurokdError, match="small-s0': was started with another recipe"):
        summarise(sweep, changed)


def test_a_damaged_result_is_named(write: Write, tmp_path: Path, finish: Finish) -> None:
    sweep, found = campaign(write(), tmp_path)
    finish(found[0], [0.8, 0.9])
    (found[0].run.path / "result.json").write_text('{"format": 1}')
    with pytest.raises(NeurokdError, match=r"result\.json': damaged: name: Field required"):
        summarise(sweep, found)


def test_charts_against_step_coefficient_and_timesteps(write: Write, tmp_path: Path, finish: Finish) -> None:
    tser = {"method": "tser", "grid": {"method.temperature": [1, "5e-1", 400]}}
    file = write(seeds=[0, 1], variants={"ce": {}, "tser": tser}, baseline="ce", grid={"timesteps": [1, 3]})
    sweep, found = campaign(file, tmp_path)
    for point in found:
        finish(point, [0.80, 0.85, 0.9 + 0.01 * point.seed][-point.recipe.timesteps :])
    drawn = {chart.file: chart.svg for chart in charts(summarise(sweep, found))}
    assert set(drawn) == {
        "against-step.svg",
        "against-timesteps.svg",
        "against-timesteps-2.svg",
        "against-method.temperature.svg",
    }
    lines = {name: ElementTree.fromstring(text).iter() for name, text in drawn.items()}
    texts = {name: [one.text for one in tree if one.text] for name, tree in lines.items()}
    assert "ce, timesteps 3" in texts["against-step.svg"] and "ce, timesteps 1" not in texts["against-step.svg"]
    assert "ce: each T trained" in texts["against-timesteps.svg"]
    assert "ce: T = 3 read early" in texts["against-timesteps.svg"]
    coefficient = texts["against-method.temperature.svg"]
    assert "method.temperature (evenly spaced, not to scale)" in coefficient
    assert [one for one in coefficient if one in ("0.5", "1", "400")] == ["0.5", "1", "400"]
    assert all('class="bar s' in text and "prefers-color-scheme: dark" in text for text in drawn.values())


def test_names_from_outside_are_escaped_in_charts(write: Write, tmp_path: Path, finish: Finish) -> None:
    file = write(variants={"a": {"grid": {"model.width": [4, 8]}}}, grid={"data.path": ["<b>&", "x"]})
    sweep, found = campaign(file, tmp_path)
    for point in found:
        finish(point, [0.8, 0.9])
    write_summary(summarise(sweep, found), tmp_path / "out")
    assert "<b>" not in (tmp_path / "out" / "sweep.md").read_text()
    text = (tmp_path / "out" / "against-model.width.svg").read_text()
    assert "a, path <b>&" in [one.text for one in ElementTree.fromstring(text).iter()]


def test_a_level_for_the_baseline_without_the_coefficient(write: Write, tmp_path: Path, finish: Finish) -> None:
    tser = {"method": "tser", "grid": {"method.temperature": [1, 2]}}
    sweep, found = campaign(write(variants={"ce": {}, "tser": tser}, baseline="ce"), tmp_path)
    for point in found:
        finish(point, [0.8, 0.9])
    drawn = {chart.file: chart.svg for chart in charts(summarise(sweep, found))}
    assert 'class="level"' in drawn["against-method.temperature.svg"]
    assert "not to scale" not in drawn["against-method.temperature.svg"]
