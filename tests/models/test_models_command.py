"""`neurokd models list`."""

import json

import pytest

from neurokd.cli.main import run
from neurokd.models import MODELS, build_model
from neurokd.models.macs import count_macs


def test_list_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(MODELS)
    assert rows["resnet18"]["sizes"][1]["parameters"] == 11_173_962
    assert rows["vgg-tiny"]["options"] == ["width=32"]
    assert rows["sew-resnet18"]["options"] == ["width=64", "stem=imagenet"]
    real = build_model("snn5", (3, 32, 32), 10)  # the list counts models without values
    assert rows["snn5"]["sizes"][1]["parameters"] == sum(parameter.numel() for parameter in real.parameters())
    assert rows["snn5"]["sizes"][1]["macs"] == count_macs(real, (3, 32, 32))


def test_list_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    out = capsys.readouterr().out
    assert "11,173,962" in out and "torchvision:NAME" in out and "package.module:function" in out
