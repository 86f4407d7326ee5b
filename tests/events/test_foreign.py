"""Recordings of other tools: every format gives back what was written, damage is named with the file."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from neurokd.cli.main import run
from neurokd.errors import NeurokdError
from neurokd.events.archive import read_events
from neurokd.events.folder import import_folder
from neurokd.events.foreign import read_recording
from neurokd.events.recording import Events

ROWS = [(5, 3, 2, 1), (5, 0, 1, 0), (700, 127, 100, 1), (70_000, 4, 5, 0)]
Write = Callable[[Path, Sequence[tuple[int, int, int, int]]], None]


def listed(events: Events) -> list[tuple[int, int, int, int]]:
    """The events as (t, x, y, p)."""
    return list(zip(*(getattr(events, name).tolist() for name in "txyp"), strict=True))


def packet(rows: Sequence[tuple[int, int, int, int]], kind: int = 1, overflow: int = 0, valid: int = 1) -> bytes:
    """A packet of AEDAT 3.1."""
    header = struct.pack("<hhiiiiii", kind, 0, 8, 4, overflow, len(rows), len(rows), len(rows))
    return header + b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t) for t, x, y, p in rows)


AEDAT3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"


def structured() -> Any:
    """ROWS as a structured array, with names and order of its own."""
    array = np.zeros(len(ROWS), [("timestamp", "<i8"), ("polarity", "?"), ("x", "<u2"), ("y", "<u2")])
    array["timestamp"], array["x"], array["y"], array["polarity"] = np.array(ROWS).T
    return array


def test_atis(tmp_path: Path, write_atis: Write) -> None:
    path = tmp_path / "a.bin"
    write_atis(path, ROWS)
    assert listed(read_recording(path, (128, 128))) == ROWS
    write_atis(path, [(5, 3, 2, 1), (0, 0, 240, 0), (7, 3, 2, 0), (8191, 0, 240, 0), (1, 1, 1, 1)])
    assert listed(read_recording(path, (4, 4))) == [(5, 3, 2, 1), (8199, 3, 2, 0), (16385, 1, 1, 1)]
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(NeurokdError, match=r"a.bin': it ends 3 bytes into event 4, an event has 5"):
        read_recording(path, (4, 4))


def test_aedat4_knows_its_sensor(tmp_path: Path, write_aedat4: Write) -> None:
    pytest.importorskip("aedat")
    path = tmp_path / "a.aedat4"
    write_aedat4(path, ROWS)
    assert listed(read_recording(path)) == ROWS
    assert read_recording(path).sensor == (128, 128)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(NeurokdError, match=r"recording '.*a.aedat4' cannot be read \("):
        read_recording(path)


def test_aedat3_leaves_out_frames_and_invalid_events_and_counts_rounds(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    parts = [packet(ROWS[:2]), packet(ROWS[:1], kind=2), packet(ROWS[:1], valid=0), packet(ROWS[2:], overflow=1)]
    path.write_bytes(AEDAT3 + b"".join(parts))
    later = [(t + 2**31, x, y, p) for t, x, y, p in ROWS[2:]]
    assert listed(read_recording(path, (128, 128))) == ROWS[:2] + later


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            AEDAT3 + packet(ROWS) + packet(ROWS)[:-1],
            "the packet after event 4 promises 4 events of 8 bytes, .* 31 bytes",
        ),
        (AEDAT3 + packet(ROWS) + packet(ROWS)[:20], "ends within the header of the packet after event 4"),
        (AEDAT3[:20], "ends within its header"),
        (AEDAT3, "the recording is empty"),
        (b"#!AER-DAT2.0\r\n" + bytes(8), "starts with '#!AER-DAT2.0', allowed is '#!AER-DAT3.1'"),
    ],
)
def test_a_damaged_aedat3(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.aedat").write_bytes(content)
    with pytest.raises(NeurokdError, match=f"a.aedat': .*{message}"):
        read_recording(tmp_path / "a.aedat", (128, 128))


def test_arrays_under_usual_names(tmp_path: Path) -> None:
    t, x, y, p = np.array(ROWS).T
    np.save(tmp_path / "a.npy", structured())
    np.savez(tmp_path / "one.npz", events=structured())
    np.savez(tmp_path / "four.npz", ts=t, xs=x, ys=y, pol=2 * p - 1, extra=np.zeros(3))
    with h5py.File(tmp_path / "root.h5", "w") as file:
        for name, column in (("t", t), ("x", x), ("y", y), ("p", p)):
            file[name] = column
    with h5py.File(tmp_path / "group.hdf5", "w") as file:
        for name, column in (("timestamps", t), ("x", x), ("y", y), ("polarity", p)):
            file[f"davis/events/{name}"] = column
        file["frames"] = np.zeros(5)
    with h5py.File(tmp_path / "compound.h5", "w") as file:
        file["CD/events"] = structured()
    for name in ("a.npy", "one.npz", "four.npz", "root.h5", "group.hdf5", "compound.h5"):
        assert listed(read_recording(tmp_path / name, (128, 128))) == ROWS


def _two_places(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["left"], file["right"] = structured(), structured()


BAD: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "fields": (
        "a.npy",
        lambda path: np.save(path, np.zeros((4, 4))),
        r"holds float64 \[4, 4\], allowed is a structured",
    ),
    "names": ("a.npz", lambda path: np.savez(path, t=[1], x=[1], y=[1]), r"has \['t', 'x', 'y'\], allowed are arrays"),
    "two places": ("a.h5", _two_places, r"2 places with events \(left, right\), allowed is one"),
    "no place": ("a.h5", lambda path: h5py.File(path, "w").close(), r"0 places with events \(none\)"),
    "cut npz": ("a.npz", lambda path: path.write_bytes(b"PK\x03\x04cut"), "cannot be read"),
    "cut h5": ("a.h5", lambda path: path.write_bytes(b"\x89HDF"), "cannot be read"),
    "pickle": ("a.npy", lambda path: np.save(path, np.array([{}]), allow_pickle=True), "cannot be read .*allow_pickle"),
    "no file": ("a.npy", lambda path: None, "cannot be read .*No such file"),
    "suffix": ("a.raw", lambda path: path.write_bytes(b""), r"suffix '.raw' is unknown; allowed are .aedat, .aedat4"),
    "outside": ("a.npy", lambda path: np.save(path, structured()), r"event 2 has x = 127, allowed is 0\.\.99"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named(tmp_path: Path, name: str) -> None:
    file, write, message = BAD[name]
    write(tmp_path / file)
    with pytest.raises(NeurokdError, match=f"recording '.*{file}'.*{message}"):
        read_recording(tmp_path / file, (128, 100))


def test_a_file_that_does_not_know_its_sensor(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", structured())
    with pytest.raises(NeurokdError, match="does not say how large the sensor is; give sensor"):
        read_recording(tmp_path / "a.npy")


@pytest.fixture
def folder(tmp_path: Path, write_atis: Write) -> Path:
    """Three recordings of two classes; the first has 1 event, the second 2."""
    for number, name in enumerate(("bee/10.bin", "bee/9.bin", "ant/1.bin")):
        write_atis(tmp_path / "in" / name, ROWS[: number + 1])
    (tmp_path / "in" / "ant" / "notes.txt").write_text("left out")
    return tmp_path / "in"


def test_a_folder_becomes_one_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out" / "set.npz"
    arguments = ["datasets", "import", str(folder), "--out", str(out), "--sensor", "128"]
    assert run(arguments) == 0
    assert f"{out}: 3 recordings of 2 classes" in capsys.readouterr().out
    data = read_events(out)
    assert (data.classes, data.labels.tolist(), data.sensor) == (("ant", "bee"), [0, 1, 1], (128, 128))
    assert [listed(recording) for recording in data] == [ROWS[:3], ROWS[:1], ROWS[:2]]
    assert data.sample_ids.tolist() == data.groups.tolist() == [0, 1, 2]
    assert run(arguments) == 2
    assert "set.npz' is there" in capsys.readouterr().err


def test_unsorted_recordings_of_a_folder(folder: Path, tmp_path: Path, write_atis: Write) -> None:
    write_atis(folder / "ant" / "2.bin", ROWS[::-1])
    arguments = ["datasets", "import", str(folder), "--out", str(tmp_path / "set.npz"), "--sensor", "128x128"]
    assert run(arguments) == 2
    assert not (tmp_path / "set.npz").exists()
    assert run([*arguments, "--sort"]) == 0
    assert listed(read_events(tmp_path / "set.npz")[1]) == [ROWS[1], ROWS[0], ROWS[2], ROWS[3]]


def test_a_folder_without_recordings(folder: Path, tmp_path: Path) -> None:
    (folder / "cow").mkdir()
    wrong = {folder: "'.*cow' has no recording", folder / "ant": "no class folder", folder / "dog": "no such folder"}
    for path, message in wrong.items():
        with pytest.raises(NeurokdError, match=message):
            import_folder(path, tmp_path / "set.npz", (128, 128))
    assert not (tmp_path / "set.npz").exists()
