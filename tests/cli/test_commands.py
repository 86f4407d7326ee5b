"""The commands as a user types them: what they print, what they leave, and the one line when something is wrong."""

import dataclasses
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from neurokd.cli.main import run as neurokd

RECIPE = """
name: small
data: {name: digits, train_samples: 300}
model: {name: vgg-tiny, width: 4}
timesteps: 2
method: {name: ce}
training: {epochs: 2, batch_size: 32, lr: 0.01}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/small-001`, trained once for this module."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "small.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "neurokd", "train", "small.yaml", "--no-progress"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int = 2) -> str:
    """Run a command that must fail with `code`; return its one line on stderr (log lines, marked "|", may follow)."""
    capsys.readouterr()
    assert neurokd(arguments) == code
    error = capsys.readouterr().err
    first, *more = error.splitlines()
    assert first.startswith("neurokd: ") and all(line.startswith("  | ") for line in more), error
    return error


def test_export_simulate_report_as_typed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert neurokd(["export", "--target", "loihi2", "--lava", "off"]) == 0
    assert "quantised" in capsys.readouterr().out
    assert neurokd(["simulate", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    manifest = json.loads((project / "runs/small-001/export/manifest.json").read_text())
    assert result["samples"] == 360 and result["accuracy_per_step"] == manifest["accuracy_per_step"]
    assert neurokd(["simulate", "runs/small-001/export/network.net", "--samples", "10"]) == 0
    assert "10 images" in capsys.readouterr().out
    assert neurokd(["report"]) == 0
    assert (project / "runs/small-001/report/report.html").is_file()
    assert {path.name for path in (project / "runs/small-001/export").iterdir()} == {
        "network.net", "network.nir", "manifest.json",
    }  # fmt: skip


def test_calibration_never_sees_test_images(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurokd.data.config import DataConfig
    from neurokd.data.dataset import load_dataset
    from neurokd.export import bundle

    seen = []
    original = bundle.calibrate
    monkeypatch.setattr(bundle, "calibrate", lambda *given: seen.append(given[2]) or original(*given))
    assert neurokd(["export", "--lava", "off"]) == 0
    data = load_dataset(DataConfig(name="digits", train_samples=300))
    test = {image.numpy().tobytes() for image in data.test.images}
    validation = np.load("runs/small-001/splits.npz")["validation"]
    held = {data.train.images[int(i)].numpy().tobytes() for i in validation}
    used = {image.numpy().tobytes() for image in seen[0].images}
    assert len(used) > 100 and not used & (test | held)


def test_one_differing_spike_is_exit_code_1(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from neurokd.export.network_files.network_file import read_network
    from neurokd.export.proof import witness
    from neurokd.hardware.simulator import simulate

    def lava_with_a_flipped_spike(path, inputs, **_):  # type: ignore[no-untyped-def]
        trace = simulate(read_network(path), inputs)
        trace.spikes["relu2"][1, 3, 2, 0, 1] ^= 1
        info = {"lava-nc": "0", "lava-dl": "0", "loaded_by": "netx", "process_models": "stock"}
        return dataclasses.replace(trace, backend="lava", info=info)

    monkeypatch.setattr(witness, "run_lava", lava_with_a_flipped_spike)
    error = fails(capsys, ["export", "--lava-samples", "8"], code=1)
    assert "relu2" in error
    manifest = json.loads(Path("runs/small-001/export/manifest.json").read_text())
    assert manifest["verification"]["lava"]["status"] == "failed"
    assert manifest["verification"]["lava"]["mismatches"] == 1


def test_without_lava_auto_says_so_and_require_fails(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "empty"))
    monkeypatch.delenv("NEUROKD_LAVA_PYTHON", raising=False)
    if subprocess.run([sys.executable, "-c", "import lava.lib.dl"], capture_output=True).returncode == 0:
        pytest.skip("Lava lies in this interpreter")
    assert neurokd(["export"]) == 0
    assert "not verified on Lava" in capsys.readouterr().out
    shutil.rmtree("runs/small-001/export")
    assert "neurokd lava install" in fails(capsys, ["export", "--lava", "require"])
    assert not Path("runs/small-001/export").exists()


@pytest.mark.lava
def test_lava_over_its_time_limit_leaves_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = fails(capsys, ["export", "--lava", "require", "--lava-timeout", "1", "--lava-samples", "4"])
    assert "1 s" in error or "1.0 s" in error
    assert [path.name for path in Path("runs/small-001").iterdir() if "export" in path.name] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "name a recipe"),
        (["train", "nowhere.yaml"], "no such file"),
        (["train", "small.yaml", "--set", "training.epoch=3"], "did you mean 'epochs'?"),
        (["train", "small.yaml", "--set", "timesteps=0"], "timesteps"),
        (["train", "small.yaml", "--set", "model.name=vgg-tinny"], "vgg-tiny"),
        (["train", "small.yaml", "--set", "data={name: fashion-mnist}", "--data-root", "nodata"], "datasets prepare"),
        (["train", "--resume"], "nothing to resume"),
        (["export", "nothing"], "run 'nothing'"),
        (["export", "--target", "tpu"], "--target"),
        (["simulate", "--samples", "0"], "--samples"),
        (["simulate"], "has no artefact yet"),
        (["simulate", "small.yaml"], "lies in no run folder"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in fails(capsys, arguments)


def test_a_damaged_artefact_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert neurokd(["export", "--lava", "off"]) == 0
    network = Path("runs/small-001/export/network.net")
    network.write_bytes(network.read_bytes()[:4000])
    assert "network.net" in fails(capsys, ["simulate"])


def test_data_that_changed_since_training_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = Path("runs/small-001/result.json")
    changed = json.loads(result.read_text())
    changed["data"]["fingerprint"]["test"] = "0" * 64
    result.write_text(json.dumps(changed))
    assert "the test images are not those of run" in fails(capsys, ["export", "--lava", "off"])


@pytest.mark.parametrize("content", [b"", b"PK not a zip", None])
def test_a_damaged_split_is_named(project: Path, capsys: pytest.CaptureFixture[str], content: bytes | None) -> None:
    split = Path("runs/small-001/splits.npz")
    split.unlink()
    if content is not None:
        split.write_bytes(content)
    assert "splits.npz" in fails(capsys, ["export", "--lava", "off"])


def test_weights_of_another_model(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Path("runs/small-001/recipe.yaml")
    recipe.write_text(recipe.read_text().replace("width: 4", "width: 8"))
    assert "made for another model" in fails(capsys, ["export", "--lava", "off"])


@pytest.mark.skipif(sys.platform != "linux", reason="needs /sys")
def test_no_permission_to_write(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "/sys" in fails(capsys, ["train", "small.yaml", "--out", "/sys/neurokd/run"])


@pytest.mark.parametrize("size", [0, 3000, 20000])
def test_a_full_disk_leaves_nothing_half_written(project: Path, size: int) -> None:
    """The kernel refuses files over `size` bytes, as a full disk would, in the middle of the export."""
    before = sorted(Path("runs/small-001").iterdir())
    code = "import sys; from neurokd.cli.main import run; sys.exit(run(['export', '--lava', 'off']))"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("neurokd: ") and "Traceback" not in done.stderr
    assert sorted(Path("runs/small-001").iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["export", "--lava", "off"], "neurokd.export.artefact.simulate"),
        (["simulate"], "neurokd.hardware.simulator.simulate"),
        (["report"], "neurokd.report.write.write_report"),
        (["doctor"], "neurokd.hardware.lava.environment.status"),
    ],
)
def test_ctrl_c_is_one_line_everywhere(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], where: str
) -> None:
    assert neurokd(["export", "--lava", "off"]) == 0
    before = sorted(path for path in project.rglob("*"))

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupt)
    assert fails(capsys, arguments) == "neurokd: interrupted\n"
    assert sorted(path for path in project.rglob("*")) == before


def test_ctrl_c_leaves_a_run_that_resumes(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE.replace("epochs: 2", "epochs: 40"))
    command = [sys.executable, "-m", "neurokd", "train"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*command, "small.yaml", "--no-progress"], cwd=tmp_path, stderr=pipe, stdout=pipe, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests run in the background ignore it
    )  # fmt: skip
    last = tmp_path / "runs/small-001/checkpoints/last.ckpt"
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2, error
    assert "Traceback" not in error
    assert error.splitlines()[-1] == (
        "neurokd: interrupted; 'runs/small-001' can be continued with: neurokd train --resume"
    )
    done = subprocess.run([*command, "--resume", "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == "runs/small-001"
