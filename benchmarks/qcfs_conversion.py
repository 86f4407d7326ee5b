"""What the conversion from QCFS to integrate-and-fire neurons costs, at every number of steps from 1 to 64.

    python benchmarks/qcfs_conversion.py --machine "two virtual cores of an x86-64 server, 24 GiB, no GPU"

Trains vgg-tiny with QCFS on all training images of Fashion-MNIST, converts it, and measures all test
images once. Writes `docs/results/qcfs-conversion.md` and its chart. The settings below were fixed before
the test set was looked at; the weights are those of the last epoch.
"""

import argparse
import platform
import re
import resource
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import nn

from neurokd.allocator import keep_freed_memory
from neurokd.conversion import CONVERTED, convert, to_qcfs
from neurokd.data.config import AugmentConfig, DataConfig
from neurokd.data.dataset import load_dataset
from neurokd.data.images import DataSet
from neurokd.data.loader import batches
from neurokd.evaluation import evaluate
from neurokd.inputs import to_input
from neurokd.models import build_model
from neurokd.neurons import LIF
from neurokd.qcfs import QCFS
from neurokd.report.chart_lines import Frame, Series, line_chart

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results" / "qcfs-conversion.md"
STYLE = ROOT / "neurokd" / "report" / "report.css"

STEPS = 64
SHOWN = (1, 2, 4, 8, 16, 32, 64)
BATCH, LR, WEIGHT_DECAY, SEED = 128, 4e-3, 0.02, 0
EVALUATION_BATCH = 32  # x 64 steps = 2,048 images of activations at a time
ALLOWED_POINTS = 0.5
NEURONS: dict[str, LIF] = {
    "soft reset": CONVERTED,
    "hard reset": LIF(decay=1.0, reset="hard", initial=0.0),
}

PAGE_TEXT = """# Conversion from QCFS, Fashion-MNIST

| | |
| --- | --- |
| date | {date} |
| machine | {machine} |
| versions | Python {python}, torch {torch} |
| data | all 60,000 training images of Fashion-MNIST, 10,000 to test |
| network | vgg-tiny, width {width}, QCFS with L = {levels}; {epochs} epochs of AdamW, seed {seed}, one run |

```console
$ python benchmarks/qcfs_conversion.py {options}
```

An ANN with [QCFS](../methods.md#qcfs-and-conversion) activations is trained, and its weights and thresholds are copied
into a spiking network, which is not trained any further. One pass of {steps} steps over all 10,000 test images gives
the accuracy at every T: the mean of the logits of the first T steps decides.

| asked for | measured |
| --- | --- |
| at T = {steps} within {allowed} points of the QCFS ANN | {end:.2f} % against {ann:.2f} %: {lost:+.2f} points |
| | within {allowed} points {near} |

![Accuracy against time steps](qcfs-conversion.svg)

QCFS ANN: {ann:.2f} %. The points beside each accuracy are the distance from it.

| T |{columns}
| --- |{rule}
{rows}

- **Soft reset** is the neuron of the conversion: integrate-and-fire from theta / 2; a spike takes the threshold off.
- **Hard reset** is the chip's: integrate-and-fire from 0, here without any fine-tuning. What a membrane has above the
  threshold is lost at every spike, so the same weights give lower rates. That is why a network for the chip is
  fine-tuned with its own neuron before the export.
- The thresholds started at {start:g} and were trained to {thresholds}.
- With T above L a layer has finer levels than QCFS had in training, so the curve need not end exactly at the ANN.

Training took {minutes:.1f} minutes, a pass over the test images {seconds:.0f} s in batches of {batch} images. In all
the process used {cpu_minutes:.1f} minutes of processor time and {peak_gib:.1f} GiB at its peak.
"""


def main() -> None:
    """Train, convert, measure, write the page; exit 1 if the conversion lost more than is allowed."""
    arguments = _arguments()
    keep_freed_memory()
    dataset = load_dataset(DataConfig(name="fashion-mnist"), arguments.data_root)
    start = time.perf_counter()
    model = train(dataset, arguments.width, arguments.levels, arguments.epochs)
    trained_s = time.perf_counter() - start
    ann = 100 * evaluate(model, dataset.test).accuracy_per_step[0]
    print(f"QCFS ANN {ann:.2f} %")
    curves: dict[str, list[float]] = {}
    start = time.perf_counter()
    for name, neuron in NEURONS.items():
        result = evaluate(convert(model, STEPS, neuron), dataset.test, EVALUATION_BATCH)
        curves[name] = [100 * accuracy for accuracy in result.accuracy_per_step]
        print(name, {t: round(curves[name][t - 1], 2) for t in SHOWN})
    measured_s = (time.perf_counter() - start) / len(NEURONS)
    PAGE.write_text(page(arguments, model, ann, curves, (trained_s, measured_s)), encoding="utf-8")
    PAGE.with_suffix(".svg").write_text(chart(ann, curves), encoding="utf-8")
    lost = ann - curves["soft reset"][-1]
    print(f"T = {STEPS}: {lost:+.2f} points lost, allowed are {ALLOWED_POINTS}; {PAGE}")
    sys.exit(abs(lost) > ALLOWED_POINTS)


def train(dataset: DataSet, width: int, levels: int, epochs: int) -> nn.Module:
    """The QCFS network after `epochs` of AdamW with one cycle of the learning rate."""
    torch.manual_seed(SEED)
    model = to_qcfs(build_model("vgg-tiny", dataset.shape, len(dataset.classes), width=width), levels)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loader = batches(
        dataset.train, np.arange(len(dataset.train)), BATCH,
        augment=AugmentConfig(flip=True, shift=2), seed=SEED, shuffle=True,
    )  # fmt: skip
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]  # biases, BN and thresholds do not decay
    groups = [{"params": weights, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=epochs * len(loader), pct_start=0.2)
    for epoch in range(epochs):
        model.train()
        loader.sampler.set_epoch(epoch)
        total = 0.0
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(to_input(images)), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item()
        mean = total / len(loader)
        print(f"epoch {epoch + 1}/{epochs}: loss {mean:.4f}, thresholds {_thresholds(model)}", flush=True)
    model.eval()
    return model


def page(
    arguments: argparse.Namespace, model: nn.Module, ann: float,
    curves: dict[str, list[float]], seconds: tuple[float, float],
) -> str:  # fmt: skip
    """The page of results."""
    soft = curves["soft reset"]
    near = [t for t in range(1, STEPS + 1) if min(soft[t - 1 :]) >= ann - ALLOWED_POINTS]
    options = " ".join(f"--{name} {getattr(arguments, name)}" for name in ("epochs", "width", "levels"))
    return PAGE_TEXT.format(
        date=date.today().isoformat(), machine=arguments.machine, options=options,
        python=platform.python_version(), torch=torch.__version__.partition("+")[0],
        width=arguments.width, levels=arguments.levels, epochs=arguments.epochs, seed=SEED,
        steps=STEPS, allowed=ALLOWED_POINTS, ann=ann, end=soft[-1], lost=soft[-1] - ann,
        near=f"from T = {near[0]} on" if near else "at no T up to the last",
        columns="".join(f" {name} | points |" for name in curves), rule=" --- | --- |" * len(curves),
        rows="\n".join(_row(t, ann, curves) for t in SHOWN),
        start=to_qcfs(nn.ReLU()).threshold.item(), thresholds=_thresholds(model),
        minutes=seconds[0] / 60, seconds=seconds[1], batch=EVALUATION_BATCH,
        cpu_minutes=time.process_time() / 60,
        peak_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    )  # fmt: skip


def _row(t: int, ann: float, curves: dict[str, list[float]]) -> str:
    return f"| {t} |" + "".join(f" {curve[t - 1]:.2f} % | {curve[t - 1] - ann:+.2f} |" for curve in curves.values())


def chart(ann: float, curves: dict[str, list[float]]) -> str:
    """The curves as an SVG file of its own, in the style of the report, on paper of its own colour."""
    series = [
        Series(name, tuple((float(t), value) for t, value in enumerate(curve, 1))) for name, curve in curves.items()
    ]
    frame = Frame("Accuracy against time steps", "time steps T", lambda y: f"{y:g} %", level=("QCFS ANN", ann))
    rules = r"^\.chart.*$|^:root[^}]*\}|^@media \(pref[^}]*\}\s*\}"
    style = "\n".join(re.findall(rules, STYLE.read_text(encoding="utf-8"), re.MULTILINE))
    svg = str(line_chart(series, frame))
    head = '<svg xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" '
    paper = '<rect width="100%" height="100%" fill="var(--paper)"></rect>'
    return svg.replace("<svg ", head, 1).replace("</title>", f"</title><style>{style}</style>{paper}", 1) + "\n"


def _thresholds(model: nn.Module) -> str:
    return ", ".join(f"{layer.threshold.item():.2f}" for layer in model.modules() if isinstance(layer, QCFS))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, help="default: $NEUROKD_DATA")
    parser.add_argument("--machine", default=f"{platform.system()} {platform.machine()}", help="class of machine")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--levels", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    main()
