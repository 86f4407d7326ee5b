"""The report opens in a real browser, offline, and shows what it should; nothing in it executes."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neurokd.report.write import write_report

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--dump-dom",
]  # fmt: skip

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")]


def dom(page: Path, profile: Path) -> str:
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", page.resolve().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_report_renders_offline(sample_run: Path, tmp_path: Path) -> None:
    shown = dom(write_report(sample_run).html, tmp_path / "profile")
    assert "0 differing spikes in 5,253,120 compared, Lava 0.10.0" in shown
    assert shown.count("<svg") > 10
    assert "http:" not in shown
    assert "https:" not in shown


def test_a_script_in_the_run_does_not_execute(make_run: Callable[..., Path], tmp_path: Path) -> None:
    def edit(result: dict[str, Any]) -> None:
        result["name"] = "<script>document.title = 'executed'</script><img src=x onerror=\"document.title='executed'\">"

    shown = dom(write_report(make_run(edit_result=edit)).html, tmp_path / "profile")
    assert "<title>executed" not in shown
    assert "&lt;script&gt;" in shown
