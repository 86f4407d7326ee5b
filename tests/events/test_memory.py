"""A set that is larger than what it may take of memory is read, framed, batched and evaluated all the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MIB = 2**20
PASS = """
import json, sys, threading, time
import numpy as np
from pathlib import Path
import torch
from neurokd.data.config import DataConfig
from neurokd.data.dataset import load_dataset
from neurokd.data.loader import batches
from neurokd.inputs import to_input

def anonymous():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

def watch():
    while not done.is_set():
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.002)

torch.set_num_threads(1)
to_input(torch.zeros(8, 10, 2, 128, 128, dtype=torch.uint8)).sum()
done, start = threading.Event(), anonymous()
peak = [start]
watcher = threading.Thread(target=watch)
watcher.start()
config = DataConfig.model_validate({"name": "events", "path": sys.argv[1], "events": {"frames": 10, "test": 0.2}})
dataset = load_dataset(config)
counted = 0
for part in (dataset.train, dataset.test):
    for frames, _ in batches(part, np.arange(len(part)), 8, seed=0):
        counted += int(frames.sum())
done.set()
watcher.join()
print(json.dumps({"counted": counted, "grown": peak[0] - start, "shape": dataset.train.images.shape}))
"""
WRITE = """
import sys
import numpy as np
from pathlib import Path
from neurokd.events.recording import Events
from neurokd.events.writer import EventWriter

generator = np.random.default_rng(0)
with EventWriter(Path(sys.argv[1]), (128, 128)) as writer:
    for number in range(int(sys.argv[2])):
        t = np.sort(generator.integers(0, 10**6, 20_000))
        x, y, p = (generator.integers(0, top, 20_000) for top in (128, 128, 2))
        writer.add(Events(t, x, y, p, (128, 128)), number % 2, number)
"""


def test_a_large_set_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """800 recordings: 262 MB of frames and 112 MB of events pass through less than 40 MiB."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("no /proc here to read the memory of a process from")
    monkeypatch.setenv("NEUROKD_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "large.npz"
    subprocess.run([sys.executable, "-c", WRITE, str(file), "800"], check=True)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")  # what is freed goes back at once: held memory is measured
    done = subprocess.run([sys.executable, "-c", PASS, str(file)], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    frames = sum(file.stat().st_size for file in (tmp_path / "cache" / "event-frames").iterdir())
    assert found["counted"] == 800 * 20_000 and found["shape"] == [640, 10, 2, 128, 128]
    assert frames > 250 * MIB and file.stat().st_size > 100 * MIB
    assert found["grown"] < 40 * MIB
