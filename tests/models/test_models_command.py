"""`neurokd models list`."""

import json

import pytest

from neurokd.cli.main import run


def test_list_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {"vgg-tiny", "vgg11", "resnet18"}
    assert rows["resnet18"]["sizes"][1]["parameters"] == 11_173_962
    assert rows["vgg-tiny"]["options"] == ["width=32"]


def test_list_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    out = capsys.readouterr().out
    assert "11,173,962" in out and "package.module:function" in out
