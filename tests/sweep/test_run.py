"""Campaigns with real training on a tiny set: continued, shared between processes, outliving failures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neurokd.cli.main import run as command
from neurokd.errors import NeurokdError
from neurokd.runs import create_run, exclusive
from neurokd.sweep.grid import Point, points
from neurokd.sweep.run import run_points
from neurokd.sweep.spec import load_sweep
from neurokd.sweep.state import failure_of, state_of
from neurokd.training import fit

Write = Callable[..., Path]
DIVERGING = {"training": {"lr": 1e30, "optimizer": "sgd"}}


def states(found: list[Point]) -> dict[str, str]:
    """Where every point stands."""
    return {point.run.path.name: state_of(point) for point in found}


def test_a_campaign_trains_what_is_missing_and_summarises(write: Write, tmp_path: Path, capsys: Any) -> None:
    file, out = write(seeds=[0, 1], variants={"ce": {}, "tser": {"method": "tser"}}, baseline="ce"), tmp_path / "out"
    found = points(load_sweep(file), out)
    fit(found[0].recipe, found[0].run.path, progress=False)
    before = (found[0].run.path / "result.json").stat().st_mtime_ns
    assert command(["sweep", str(file), "--out", str(out), "--only", "ce"]) == 0
    assert states(found) == {"ce-s0": "finished", "tser-s0": "waiting", "ce-s1": "finished", "tser-s1": "waiting"}
    capsys.readouterr()
    assert command(["sweep", str(file), "--out", str(out), "--json", "--no-progress"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(states(found).values()) == {"finished"} and printed["missing"] == []
    assert (found[0].run.path / "result.json").stat().st_mtime_ns == before
    measured = {point.run.path.name: point.run.result()["student"]["accuracy"] for point in found}
    assert printed["rows"][1]["seeds"] == {"0": measured["tser-s0"], "1": measured["tser-s1"]}
    assert (out / "sweep.md").is_file() and (out / "against-step.svg").is_file()
    # a run of a sweep is what `fit` alone would have made, whatever was trained before it in the process
    alone = fit(found[3].recipe, tmp_path / "alone", progress=False).result()
    assert alone["student"] == found[3].run.result()["student"]


def test_a_failing_run_is_recorded_and_the_others_go_on(write: Write, tmp_path: Path, capsys: Any) -> None:
    file, out = write(variants={"bad": DIVERGING, "good": {}}), tmp_path / "out"
    assert command(["sweep", str(file), "--out", str(out), "--no-progress"]) == 1
    assert "1 of 2 runs failed" in capsys.readouterr().err
    found = points(load_sweep(file), out)
    assert states(found) == {"bad-s0": "failed", "good-s0": "finished"}
    text = (out / "sweep.md").read_text()
    assert "bad-s0: failed: training: the loss is" in text and "Partial: 1 of 2" in text
    assert command(["sweep", str(file), "--out", str(out), "--summary"]) == 0


def test_what_nobody_foresaw_is_recorded_and_the_next_start_tries_again(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = points(load_sweep(write()), tmp_path / "out")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("neurokd.sweep.run.fit", broken)
        run_points(found, progress=False)
    failure = json.loads((found[0].run.path / "failure.json").read_text())
    assert failure["reason"] == "RuntimeError: out of memory" and states(found) == {"small-s0": "failed"}
    (found[0].run.path / "failure.json").write_text("{")  # damaged, it keeps nobody from going on
    assert "the reason is lost: " in failure_of(found[0].run.path)
    run_points(found, progress=False)
    assert states(found) == {"small-s0": "finished"}
    assert not (found[0].run.path / "failure.json").exists()


def test_a_failure_of_another_process_is_not_repeated(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this process trains the first point, another one sees the second fail."""
    from neurokd.sweep.state import record_failure

    found = points(load_sweep(write(seeds=[0, 1])), tmp_path / "out")
    trained = []

    def fake(recipe: Any, path: Path, **_: Any) -> None:
        trained.append(path.name)
        record_failure(found[1].run.path, "elsewhere")

    monkeypatch.setattr("neurokd.sweep.run.fit", fake)
    run_points(found, progress=False)
    assert trained == ["small-s0"]


def test_a_run_of_another_process_is_left_to_it(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = points(load_sweep(write(seeds=[0, 1, 2])), tmp_path / "out")
    trained: list[str] = []
    monkeypatch.setattr("neurokd.sweep.run.fit", lambda recipe, path, **_: trained.append(path.name))
    with exclusive(create_run(found[0].recipe, found[0].run.path)):
        run_points(found, progress=False)
        assert states(found)["small-s0"] == "running"
    assert "small-s0" not in trained and trained[:2] == ["small-s1", "small-s2"]
    run_points(found, progress=False)
    assert "small-s0" in trained


def test_a_lock_taken_in_the_last_moment_is_no_failure(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the lock and `fit` another process may have begun."""
    found = points(load_sweep(write()), tmp_path / "out")
    monkeypatch.setattr("neurokd.sweep.run.state_of", lambda point: "waiting")
    with exclusive(create_run(found[0].recipe, found[0].run.path)):
        run_points(found, progress=False)
    assert not (found[0].run.path / "failure.json").exists() and not found[0].run.finished


@pytest.mark.parametrize("cause", [KeyboardInterrupt(), SystemExit()])
def test_an_interruption_says_how_to_continue(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: BaseException
) -> None:
    found = points(load_sweep(write(seeds=[0, 1])), tmp_path / "out")

    def interrupted(*_: Any, **__: Any) -> None:
        raise NeurokdError("interrupted; continue with: neurokd train --resume") from cause

    monkeypatch.setattr("neurokd.sweep.run.fit", interrupted)
    with pytest.raises(NeurokdError, match="interrupted with 0 of 2 runs finished; the same command continues"):
        run_points(found, progress=False)
    assert not (found[0].run.path / "failure.json").exists()


def test_ctrl_c_in_training_is_an_interruption(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurokd.distiller import Distiller

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    found = points(load_sweep(write()), tmp_path / "out")
    monkeypatch.setattr(Distiller, "training_step", stopped)
    with pytest.raises(NeurokdError, match="the same command continues"):
        run_points(found, progress=False)
    assert states(found) == {"small-s0": "interrupted"}


def test_dry_run_and_summary_train_nothing(write: Write, tmp_path: Path, capsys: Any) -> None:
    file, out = str(write(seeds=[0, 1])), tmp_path / "out"
    assert command(["sweep", file, "--out", str(out), "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "small-s0  waiting",
        "small-s1  waiting",
        f"0 of 2 runs in {out} are finished",
    ]
    assert not out.exists()
    assert command(["sweep", file, "--out", str(out), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == {"small-s0": "waiting", "small-s1": "waiting"}
    assert command(["sweep", file, "--out", str(out), "--summary"]) == 0
    assert "missing: small-s0 waiting" in capsys.readouterr().out
    assert not (out / "small-s0").exists()


def test_mistakes_are_named_before_anything_trains(write: Write, tmp_path: Path, capsys: Any) -> None:
    variants = {"ce": {}, "typo": {"training": {"epoch": 2}}}
    assert command(["sweep", str(write(variants=variants)), "--out", str(tmp_path / "out")]) == 2
    assert "point 'typo-s0': unknown key 'training.epoch'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert command(["sweep", str(write()), "--only", "xx"]) == 2
    assert "--only xx: no variant 'xx'; there are small" in capsys.readouterr().err
