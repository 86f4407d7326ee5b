"""NIR files that are damaged or lie: one line that names file and node, and nothing allocated that the file has not."""

import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurokd.errors import NeurokdError
from neurokd.export.bundle_nir import NirOptions, export_nir, nir_folder
from neurokd.export.contract.layers_of_nir import layers_of_nir
from neurokd.export.contract.rules import RULES, WEIGHT_RULES, look_at
from neurokd.export.contract.target import find_target
from neurokd.export.nir_graphs import io as nir_io
from neurokd.export.nir_graphs.common import common_nodes, fold
from neurokd.export.nir_graphs.io import read_nir
from neurokd.export.nir_graphs.time import timed
from neurokd.export.quantization.quantize import quantize

from .nir_graphs import affine, chain, cuba, li, lif

CONV = nir.Conv2d((6, 6), np.ones((3, 2, 3, 3)), 1, 1, 1, 1, np.zeros(3))
POOL = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
NODES = (CONV, lif((3, 6, 6)), POOL, nir.Flatten({"input": np.array([3, 3, 3])}, 0), affine(5, 27, bias=0.0), cuba(5),
         nir.Linear(affine(4, 5).weight), li(4))  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nir") / "good.nir"
    nir.write(path, chain(*NODES, shape=(2, 6, 6)), compression=None)
    return path


def refusal(path: Path) -> str | None:
    """Read, rewrite and quantise `path` as the export does, without the child process; why not, or None."""
    try:
        with h5py.File(path, "r") as file:
            nir_io._weigh(file, str(path), path.stat().st_size * nir_io.MAX_EXPANSION)
        graph = common_nodes(timed(nir_io._read(path)))
        found = look_at(layers_of_nir(graph), find_target("loihi2"), RULES + WEIGHT_RULES)
        errors = [finding.text for finding in found if finding.severity == "error"]
        if errors:
            return errors[0]
        quantize(fold(graph))
    except NeurokdError as error:
        return str(error)
    return None


def replaced(key: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if f"node/{key}" in file:
            del file[f"node/{key}"]
        if value is not None:
            file[f"node/{key}"] = value

    return change


def test_the_file_is_good(good: Path) -> None:
    assert refusal(good) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced("nodes/1/tau", None), "layer '1': is no LIF"),
        (replaced("nodes/1/tau", np.ones(3)), "layer '1': is no LIF (All parameters must have the same shape)"),
        (replaced("nodes/1/tau", b"soon"), "layer '1': its tau is <U4"),
        (replaced("nodes/1/tau", np.ones((3, 6, 6), complex)), "layer '1': its tau is complex128"),
        (replaced("nodes/1/tau", np.full((3, 6, 6), np.nan)), "layer '1'"),
        (replaced("nodes/1/tau", np.zeros((3, 6, 6))), "layer '1'"),
        (replaced("nodes/1/v_threshold", np.full((3, 6, 6), np.inf)), "layer '1'"),
        (replaced("nodes/1/r", np.full((3, 6, 6), 1e308)), "layer '1'"),
        (replaced("nodes/0/weight", np.full((3, 2, 3, 3), np.nan)), "layer '0': 54 weights or biases that are NaN"),
        (replaced("nodes/0/weight", np.ones((3, 2, 9))), "layer '0': its weight has 3 axes, allowed are 4"),
        (replaced("nodes/0/weight", np.ones((0, 2, 3, 3))), "layer '0': its weight is float64 of shape (0, 2, 3, 3)"),
        (replaced("nodes/0/weight", np.ones((3, 5, 3, 3))), "layer '0': weight of shape (3, 5, 3, 3)"),
        (replaced("nodes/0/bias", np.ones(7)), "layer '0': bias of shape (7,)"),
        (replaced("nodes/0/stride", 0), "layer '0': its stride is 0, allowed are whole numbers from 1 on"),
        (replaced("nodes/0/stride", 1.5), "layer '0': its stride is 1.5"),
        (replaced("nodes/0/padding", -1), "layer '0': its padding is -1"),
        (replaced("nodes/0/padding", 1 << 40), "layer '0': its padding is 1099511627776"),
        (replaced("nodes/0/padding", 1 << 25), "layer '0': layer of 3x67108868x67108868 values"),
        (replaced("nodes/0/groups", np.array([1, 2])), "layer '0': its groups is [1, 2]"),
        (replaced("nodes/2/kernel_size", np.array([0, 2])), "layer '2': its kernel_size is [0, 2]"),
        (replaced("nodes/2/type", b"Teapot"), "layer '2': its type is 'Teapot', which NIR does not know"),
        (replaced("nodes/2/type", None), "layer '2': its type is None"),
        (replaced("nodes/2/sugar", 3), "layer '2': is no AvgPool2d"),
        (replaced("nodes/4/weight", np.ones((5, 28))), "layer '4': weight of shape (5, 28)"),
        (replaced("nodes/4/weight", np.zeros((5, 27))), "layer '4': layer whose weights are all zero"),
        (replaced("nodes/5/tau_syn", np.full(5, 1e-9)), "layer '5': neurons with decay -999999 of the current"),
        (replaced("nodes/7/v_leak", np.ones(4)), "layer '7': neurons with rest potential 1"),
        (replaced("nodes/in/shape", np.array([2, 1 << 13, 1 << 13])), "model: layer of 2x8192x8192 values"),
        (replaced("nodes/in/shape", np.array([2, -6, 6])), "layer 'in': its shape is [2, -6, 6]"),
        (replaced("nodes/in/shape", np.ones((2, 2))), "layer 'in': its shape is [[1.0, 1.0]"),
        (replaced("edges", np.array([b"in", b"0"])), "graph: its edges have shape (2,)"),
        (replaced("edges", None), "nothing"),
        (replaced("nodes", None), "graph: is no graph with nodes"),
        (replaced("type", b"LIF"), "graph: is no graph with nodes"),
        (replaced("metadata/dt", b"x"), "graph: dt is 'x'"),
        (replaced("metadata/dt", np.nan), "graph: dt is nan"),
        (replaced("metadata/dt", None), "graph: metadata without dt; give --dt"),
        (replaced("metadata/timesteps", 1e30), "graph: timesteps is 1e+30"),
        (replaced("metadata/timesteps", 2.5), "graph: timesteps is 2.5"),
    ],
)  # fmt: skip
def test_a_field_that_lies_is_named(
    good: Path, tmp_path: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    path = shutil.copy(good, tmp_path / "bad.nir")
    with h5py.File(path, "a") as file:
        change(file)
    found = refusal(path)
    assert found is not None and message in found and "\n" not in found


def _fields(file: h5py.File) -> Iterator[str]:
    names: list[str] = []
    file["node"].visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return iter(sorted(names))


VALUES = st.one_of(
    st.sampled_from([b"", b"LIF", b"NIRGraph", np.nan, np.inf, -1, 0, 1 << 62, 1e300, True]),
    st.integers(-3, 300),
    st.floats(width=32),
    st.builds(lambda shape, value: np.full(shape, value), st.lists(st.integers(0, 4), max_size=5), st.floats(width=32)),
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_may_hold_anything(good: Path, tmp_path: Path, data: st.DataObject) -> None:
    path = Path(shutil.copy(good, tmp_path / "mutated.nir"))
    with h5py.File(path, "a") as file:
        key = data.draw(st.sampled_from(list(_fields(file))), label="field")
        value = data.draw(VALUES, label="value")
        replaced(key, value)(file)
    found = refusal(path)
    assert found is None or "\n" not in found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("nodes/in/shape", np.array([2, 1 << 20, 1 << 20])),
        ("nodes/0/padding", 1 << 20),
        ("nodes/2/kernel_size", np.array([1 << 14, 1 << 14])),
        ("metadata/timesteps", 1 << 16),
    ],
)
def test_a_few_bytes_allocate_nothing(good: Path, tmp_path: Path, key: str, value: Any) -> None:
    path = Path(shutil.copy(good, tmp_path / "bomb.nir"))
    with h5py.File(path, "a") as file:
        replaced(key, value)(file)
    tracemalloc.start()
    refusal(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 8 << 20


@pytest.mark.parametrize("kept", [0, 100, 3000])
def test_what_is_left_of_a_file_is_refused_by_name(good: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.nir"
    path.write_bytes(good.read_bytes()[:kept])
    with pytest.raises(NeurokdError, match=r"cut\.nir'"):
        export_nir(path, NirOptions())


def test_the_export_names_file_and_node(good: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(good, tmp_path / "bad.nir"))
    with h5py.File(path, "a") as file:
        replaced("nodes/0/stride", 0)(file)
    with pytest.raises(NeurokdError, match=r"bad\.nir': layer '0': its stride is 0"):
        read_nir(path)


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    assert nir_folder(tmp_path / "a.nir", tmp_path / "thesis") == tmp_path / "thesis"
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(NeurokdError, match="holds no artefact, so it is not replaced"):
        nir_folder(tmp_path / "a.nir", tmp_path / "thesis")
    assert nir_folder(tmp_path / "a.nir") == tmp_path / "a-export"
