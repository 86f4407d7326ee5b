"""`neurokd figures` on trained runs: complete, offline, repeatable, and clear about what is missing."""

import json
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurokd.cli.main import run as neurokd
from neurokd.data.dataset import load_dataset
from neurokd.errors import NeurokdError
from neurokd.evaluation import logits_per_step
from neurokd.figures.write import FIGURES, FigureOptions, Written, write_figures
from neurokd.inputs import to_input
from neurokd.runs import Run, create_run
from neurokd.training import load_data, load_model

NAMESPACES = ("http://www.w3.org/2000/svg",)


@pytest.fixture(scope="session")
def drawn(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """All figures of three runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROKD_CACHE", str(trained.root / "cache"))
        runs = [trained.runs[name] for name in ("tser", "converted", "ann")]
        return write_figures(runs, tmp_path_factory.mktemp("drawn"), FigureOptions(images=3))


@pytest.fixture(scope="session")
def numbers(drawn: Written) -> dict[str, Any]:
    """figures.json of `drawn`."""
    document: dict[str, Any] = json.loads(drawn.numbers.read_text())
    return document


def test_every_figure_is_a_file_and_stands_on_the_page(drawn: Written) -> None:
    assert [path.stem for path in drawn.drawings] == list(FIGURES)
    page = drawn.page.read_text()
    assert page.count('role="img"') == len(FIGURES)
    assert all(f'id="{key}"' in page and f'href="{key}.svg"' in page for key in FIGURES)


def test_drawings_are_whole_and_say_what_they_show(drawn: Written) -> None:
    for path in drawn.drawings:
        root = ET.fromstring(path.read_text())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "teacher of tser" in str(root[0].text)
        images = [node for node in root.iter() if node.tag.endswith("}image")]
        assert all(str(node.get("href")).startswith("data:image/png;base64,") for node in images)
        assert len(images) > 10 or path.stem == "tsne"


def test_nothing_is_fetched_and_nothing_executes(drawn: Written) -> None:
    for path in (drawn.page, *drawn.drawings):
        text = path.read_text()
        for namespace in NAMESPACES:
            text = text.replace(f'xmlns="{namespace}"', "")
        assert not re.search(r"https?:|//[a-z]|@import|url\(|<script|\son[a-z]+=", re.sub(r"base64,[^\"]*", "", text))
    assert "default-src 'none'" in drawn.page.read_text()


def test_networks_are_the_teachers_then_the_runs(numbers: dict[str, Any]) -> None:
    assert [(one["teacher_of"], one["timesteps"]) for one in numbers["networks"]] == [
        ("tser", 1), ("converted", 1), (None, 2), (None, 3), (None, 1),
    ]  # fmt: skip
    assert [one["name"] for one in numbers["networks"][2:]] == ["tser", "converted", "ann"]


def test_numbers_are_those_of_the_networks(trained: Any, numbers: dict[str, Any]) -> None:
    run: Run = trained.runs["tser"]
    dataset = load_dataset(run.recipe.data)
    model = load_model(run, dataset)
    found = numbers["figures"]["gradcam"]
    images = to_input(dataset.test.images[torch.tensor(found["images"])])
    with torch.no_grad():
        shares = logits_per_step(model, images).mean(dim=0).softmax(dim=1)
    names = [dataset.classes[int(label)] for label in shares.argmax(dim=1)]
    assert found["networks"]["tser"]["predicted"] == names
    np.testing.assert_allclose(found["networks"]["tser"]["probability"], shares.amax(dim=1), atol=1e-6)
    spikes: list[torch.Tensor] = []
    model.net.relu1.register_forward_hook(lambda _m, _i, out: spikes.append(out))  # type: ignore[operator,union-attr]
    with torch.no_grad():
        model(images)
    rates = numbers["figures"]["rates"]["networks"]["tser"]
    assert rates["all_steps"]["all"] == pytest.approx(float(spikes[0].mean()), abs=1e-6)
    assert rates["first_step"]["all"] == pytest.approx(float(spikes[0][: len(images)].mean()), abs=1e-6)


def test_rates_are_of_spikes_also_where_a_threshold_was_trained(numbers: dict[str, Any]) -> None:
    rates = numbers["figures"]["rates"]["networks"]
    assert set(rates) == {"tser", "converted"}
    assert rates["converted"]["layer"] == "relu1.spikes"
    assert 0.0 < rates["converted"]["all_steps"]["all"] <= 1.0


def test_every_network_is_shown_its_own_frames_of_the_same_recordings(recorded: Run, tmp_path: Path) -> None:
    written = write_figures([recorded], tmp_path, FigureOptions(images=3, samples=20))
    assert [path.stem for path in written.drawings] == list(FIGURES)
    found = json.loads(written.numbers.read_text())["figures"]
    assert "3 test recordings of halves" in found["gradcam"]["caption"]
    page = written.page.read_text()
    assert "ANN, frames 1 to 3" in page and "T = 2, frames 4 to 5" in page
    model, frames = load_model(recorded, load_data(recorded.recipe)), load_dataset(recorded.recipe.data).test.images
    inputs = to_input(frames[torch.tensor(found["gradcam"]["images"])][:, 3:])
    with torch.no_grad():
        shares = logits_per_step(model, inputs).mean(dim=0).softmax(dim=1)
    shown = found["gradcam"]["networks"]["recorded"]["probability"]
    np.testing.assert_allclose(shown, shares.amax(dim=1), atol=1e-6)


def test_what_is_left_out_is_said(drawn: Written, numbers: dict[str, Any]) -> None:
    assert "rates: ann is left out: it has no spiking neurons" in drawn.notes
    assert "rates: teacher of tser is left out: it has no spiking neurons" in drawn.notes
    assert "ann is left out" in drawn.page.read_text()
    assert any("ann is left out" in note for note in numbers["figures"]["rates"]["notes"])


def test_equal_seeds_draw_equally_and_others_do_not(trained: Any, tmp_path: Path) -> None:
    runs = [trained.runs["tser"]]
    drawings = [
        write_figures(runs, tmp_path / name, FigureOptions(only=("tsne", "gradcam"), samples=30, seed=seed)).drawings
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    for first, again, other in zip(*drawings, strict=True):
        assert first.read_text() == again.read_text() != other.read_text()


def test_samples_are_stratified_and_the_same_for_every_network(numbers: dict[str, Any]) -> None:
    found = numbers["figures"]["tsne"]
    assert np.bincount(found["labels"]).tolist() == [20, 20]
    assert {len(one["positions"]) for one in found["networks"].values()} == {40}
    assert {one["neighbours"] for one in found["networks"].values()} == {5}


def test_a_run_of_other_data_is_refused_by_name(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(NeurokdError, match="run 'elsewhere': was tested on other images of 'data', run 'tser'"):
        write_figures([trained.runs["tser"], trained.runs["elsewhere"]], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_of_another_data_set_is_refused_by_name(trained: Any, tmp_path: Path) -> None:
    copy = Run(shutil.copytree(trained.runs["elsewhere"].path, tmp_path / "copy"))
    result = copy.result()
    result["data"]["name"] = "mnist"
    (copy.path / "result.json").write_text(json.dumps(result))
    with pytest.raises(NeurokdError, match="run 'copy': was tested on 'mnist', run 'tser' on 'data'"):
        write_figures([trained.runs["tser"], copy], tmp_path / "out")


def test_data_that_changed_since_are_refused(trained: Any, tmp_path: Path) -> None:
    copy = Run(shutil.copytree(trained.runs["ann"].path, tmp_path / "copy"))
    recipe = (copy.path / "recipe.yaml").read_text()
    (copy.path / "recipe.yaml").write_text(recipe.replace(f"{trained.root}/data", f"{trained.root}/second/data"))
    with pytest.raises(NeurokdError, match="not those that run 'copy' was tested on"):
        write_figures([copy], tmp_path / "out")


def test_an_unfinished_run_is_refused(trained: Any, tmp_path: Path) -> None:
    unfinished = create_run(trained.runs["tser"].recipe, tmp_path / "cut")
    with pytest.raises(NeurokdError, match=r"cut': training has not finished"):
        write_figures([trained.runs["ann"], unfinished], tmp_path / "out")


def test_a_teacher_that_is_gone_is_noted(trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "empty"))
    written = write_figures([trained.runs["tser"]], tmp_path / "out", FigureOptions(only=("gradcam",)))
    key = trained.runs["tser"].result()["teacher"]["key"]
    assert len(written.notes) == 1 and f"teacher of tser is left out: '{key}'" in written.notes[0]
    assert key in written.page.read_text()
    assert set(json.loads(written.numbers.read_text())["figures"]["gradcam"]["networks"]) == {"tser"}


def test_a_figure_without_any_network_says_so(trained: Any, tmp_path: Path) -> None:
    written = write_figures([trained.runs["ann"]], tmp_path, FigureOptions(only=("rates",)))
    assert written.drawings == ()
    assert "Nothing to draw" in written.page.read_text()


def test_a_damaged_result_is_one_line(trained: Any, tmp_path: Path) -> None:
    copy = Run(shutil.copytree(trained.runs["ann"].path, tmp_path / "copy"))
    (copy.path / "result.json").write_text('{"data": {"name": "arrays"}}')
    with pytest.raises(NeurokdError, match=r"copy': result\.json lacks 'test'"):
        write_figures([copy], tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "tsne,umap"], "'umap' is no figure; allowed are tsne,rates,gradcam,features"),
        (["--images", "41"], "--images: 41, allowed is 1 to 40"),
        (["--images", "0"], "--images: 0, allowed is 1 to 40"),
        (["--samples", "5"], "--samples: 5 of 40 test images"),
        (["--samples", "41"], "allowed is 6 (3 per class) to 40"),
        (["--stage", "0"], "--stage: 0, allowed is 1 or more"),
        (["--seed", "-1"], "seed is -1"),
    ],
)
def test_a_wrong_option_is_one_line(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    command = ["figures", str(trained.runs["ann"].path), "--out", str(tmp_path / "out"), *arguments]
    assert neurokd(command) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_given_twice_is_refused(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(NeurokdError, match="'ann': given twice"):
        write_figures([trained.runs["ann"]] * 2, tmp_path)


def test_the_command_takes_several_runs(trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(trained.runs[name].path) for name in ("tser", "ann")]
    options = ["--only", "gradcam,features", "--stage", "3", "--out", str(tmp_path)]
    assert neurokd(["figures", *runs, *options]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "index.html")]
    assert neurokd(["figures", *runs, *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["figures"]["features"]["networks"]["ann"]["layer"] == "relu3"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "features.svg", "figures.json", "gradcam.svg", "index.html",
    ]  # fmt: skip
