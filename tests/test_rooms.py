"""The direction of imports, and what must not be imported early."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TRAINING = [p for p in (ROOT / "neurokd").rglob("*.py") if not p.is_symlink()]
FOLDERS = {
    "training": list((ROOT / "neurokd").glob("*.py"))
    + [p for room in ("data", "events", "models", "distill") for p in (ROOT / "neurokd" / room).rglob("*.py")],
    "sweep": list((ROOT / "neurokd" / "sweep").rglob("*.py")),
    "search": list((ROOT / "neurokd" / "search").rglob("*.py")),
    "figures": list((ROOT / "neurokd" / "figures").rglob("*.py")),
    "hardware": list((ROOT / "hardware").rglob("*.py")),
    "export": list((ROOT / "export").rglob("*.py")),
}
FORBIDDEN = {
    "training": tuple(
        f"neurokd.{room}" for room in ("export", "hardware", "cli", "report", "sweep", "search", "figures")
    ),
    "sweep": ("neurokd.export", "neurokd.hardware", "neurokd.cli"),
    "search": ("neurokd.export", "neurokd.hardware", "neurokd.cli", "neurokd.figures"),
    "figures": ("neurokd.export", "neurokd.hardware", "neurokd.cli", "neurokd.sweep"),
    "export": ("neurokd.cli", "neurokd.report", "neurokd.sweep"),
    "hardware": tuple(
        f"neurokd.{room}" for room in ("cli", "report", "sweep", "training", "models", "distill", "data")
    ),
}
OF_EXPORT = {"network", "validate", "bounds", "network_files"}  # all of export that hardware may know
OF_REPORT = {"svg", "numbers"}  # what figures may know of the report: how it draws and writes numbers


def imported(path: Path) -> set[str]:
    """Every module that a file names in an import, wherever it stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("room", FOLDERS)
def test_rooms_import_in_one_direction(room: str) -> None:
    assert FOLDERS[room]
    for path in FOLDERS[room]:
        if path.name == "__main__.py":
            continue
        wrong = [name for name in imported(path) if name.startswith(FORBIDDEN[room])]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_hardware_knows_of_export_only_the_network_and_its_file() -> None:
    for path in FOLDERS["hardware"]:
        parts = [name.split(".") for name in imported(path) if name.startswith("neurokd.export.")]
        wrong = sorted({part[2] for part in parts} - OF_EXPORT)
        assert not wrong, f"{path.relative_to(ROOT)} imports neurokd.export.{wrong}"


def test_figures_know_of_the_report_only_how_it_draws() -> None:
    for path in FOLDERS["figures"]:
        parts = [name.split(".") for name in imported(path) if name.startswith("neurokd.report.")]
        wrong = sorted({part[2] for part in parts} - OF_REPORT)
        assert not wrong, f"{path.relative_to(ROOT)} imports neurokd.report.{wrong}"


def test_lava_is_imported_only_by_what_runs_in_its_environment() -> None:
    allowed = ROOT / "hardware" / "lava"
    for path in [p for paths in FOLDERS.values() for p in paths] + TRAINING:
        if any(name.split(".")[0] == "lava" for name in imported(path)):
            assert path.is_relative_to(allowed), path
            assert path.name == "worker.py" or path.parent.name == "processes", path


def test_nothing_imports_the_bare_folder_names() -> None:
    for path in [p for paths in FOLDERS.values() for p in paths] + TRAINING:
        assert not {"export", "hardware"} & {name.split(".")[0] for name in imported(path)}, path


def test_help_imports_neither_torch_nor_numpy() -> None:
    code = "import sys; from neurokd.cli.main import run; run(['--help']); print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "train" in done.stdout
