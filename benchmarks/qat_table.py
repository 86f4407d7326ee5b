"""What training in integers gives back: finished runs in float, quantised, and trained in integers, at several bits.

    python benchmarks/qat_table.py runs/a runs/b --work FOLDER --data-root DATA

Each run is copied to FOLDER/RUN-BITS, trained in integers there and exported; what is finished is not done again, so
an interrupted call goes on. "Training" is the validation accuracy that the training logged for the epoch it kept,
"artefact" that of the exported file on the same images: they must be equal. Lava repeats some test images.
"""

import argparse
import csv
import json
import platform
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import torch

from neurokd.export.artefact import ExportOptions
from neurokd.export.bundle import export_run
from neurokd.export.network_files.network_file import read_network
from neurokd.export.proof.witness import Witness
from neurokd.hardware.simulator import simulate
from neurokd.recipe import load_recipe
from neurokd.runs import Run
from neurokd.training import load_data

ROOT = Path(__file__).parents[1]
ROUNDING = 1e-6  # the log holds float32; one image more or less is 1 of 1,000
PAGE = """# Training in integers

| | |
| --- | --- |
| date | {date} |
| machine | {machine} |
| versions | Python {python}, torch {torch} |
| settings | {settings} |

```console
$ {command}
```

Accuracy on {images:,} test images, and in brackets the points lost to the float student. "Quantised" is what
`neurokd export` finds without training, "trained" what
[`neurokd train RUN --set qat.bits=...`](../how-to/train-in-integers.md) makes of it. "Validated" is the accuracy on
{validation:,} validation images that training logged for the epoch that it kept, "artefact" that of the exported file
on the same images on the integer simulator, and the last column how many values differ on Lava, of how many compared.

{table}
"""


def main() -> None:
    """Train what is missing, print the table, write the page."""
    arguments = _arguments()
    rows = [_row(path, bits, arguments) for path in arguments.runs for bits in arguments.bits]
    lines = table(rows)
    print(lines)
    unequal = [row["run"] for row in rows if abs(row["validated"] - row["artefact"]) > ROUNDING or row["mismatches"]]
    if unequal:
        raise SystemExit(f"not what was trained: {unequal}")
    page = PAGE.format(
        date=date.today().isoformat(), machine=arguments.machine, python=platform.python_version(),
        torch=torch.__version__.partition("+")[0], settings=", ".join(arguments.set) or "the defaults of `qat`",
        command=" ".join(["python benchmarks/qat_table.py", *(f"runs/{path.name}" for path in arguments.runs),
                          "--bits", *map(str, arguments.bits), *(f"--set {one}" for one in arguments.set),
                          "--work FOLDER --data-root DATA"]),
        images=rows[0]["images"], validation=rows[0]["validation"], table=lines,
    )  # fmt: skip
    arguments.page.write_text(page, encoding="utf-8")


def _row(source: Path, bits: int, arguments: argparse.Namespace) -> dict[str, Any]:
    run = Run(arguments.work / f"{source.name}-{bits}")
    done = run.path / "row.json"
    if done.is_file():
        stored: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return stored
    if not run.path.exists():
        shutil.copytree(source, run.path, ignore=shutil.ignore_patterns("qat", "export", "report", ".lock"))
    from neurokd.cli.train import show_log
    from neurokd.export.qat.train import train_in_integers

    show_log()
    overrides = [f"qat.bits={bits}", *(f"qat.{one}" for one in arguments.set)]
    wanted = load_recipe(run.path / "recipe.yaml", overrides)
    result = train_in_integers(run, wanted, data_root=arguments.data_root, progress=False).result()
    lava = Witness(arguments.lava, arguments.lava_samples, fast=True)
    manifest = export_run(run, ExportOptions(None, lava, arguments.data_root))
    network = read_network(run.export / "network.net")
    dataset, split = load_data(run.recipe, arguments.data_root), run.load_split()
    validation = dataset.train.subset(torch.as_tensor(split.validation))
    trace = simulate(network, network.input.encode(validation.images[:].numpy()), record="counts")
    seen = manifest["verification"]["lava"]
    row = {
        "run": source.name,
        "bits": bits,
        "images": len(dataset.test),
        "validation": len(validation),
        "float": result["float"]["accuracy"],
        "quantised": result["before"]["accuracy"],
        "trained": manifest["accuracy_per_step"][-1],
        "best_epoch": result["best_epoch"],
        "validated": _logged(run.qat, result),
        "artefact": trace.accuracy(validation.labels.numpy())[-1],
        "mismatches": seen.get("mismatches"),
        "compared": seen.get("compared"),
    }
    done.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    return row


def _logged(trained: Run, result: dict[str, Any]) -> float:
    """The validation accuracy in the log of the epoch that was kept; if none was, that of the start."""
    if result["best_epoch"] is None:
        return float(result["before"]["validation_accuracy"])
    with (trained.path / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            row for row in csv.DictReader(file) if row["val_accuracy"] and int(row["epoch"]) == result["best_epoch"]
        ]
    return float(rows[-1]["val_accuracy"])


def table(rows: list[dict[str, Any]]) -> str:
    """One row for each run and number of bits."""
    head = ["run", "bits", "float", "quantised", "trained", "validated", "artefact", "on Lava"]
    lines = [head, ["---", "---:", "---:", "---:", "---:", "---:", "---:", "---"]]
    for row in rows:
        lava = "not asked" if row["compared"] is None else f"{row['mismatches']} of {row['compared']:,}"
        both = (f"{row['validated']:.2%}", f"{row['artefact']:.2%}")
        scores = [_lost(row, "quantised"), _lost(row, "trained")]
        lines.append([row["run"], str(row["bits"]), f"{row['float']:.2%}", *scores, *both, lava])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _lost(row: dict[str, Any], key: str) -> str:
    return f"{row[key]:.2%} ({100 * (row[key] - row['float']):+.2f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--work", type=Path, required=True, help="folder of the copies")
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 4])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of qat, e.g. epochs=6")
    parser.add_argument("--data-root", type=Path, help="default: $NEUROKD_DATA")
    parser.add_argument("--lava", choices=("auto", "require", "off"), default="auto")
    parser.add_argument("--lava-samples", type=int, default=20)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results" / "qat.md")
    parser.add_argument("--machine", default=f"{platform.system()} {platform.machine()}", help="class of machine")
    return parser.parse_args()


if __name__ == "__main__":
    main()
