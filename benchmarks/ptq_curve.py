"""What quantisation without training costs: accuracy of finished runs in float and in integers of 2 to 8 bits.

    python benchmarks/ptq_curve.py runs/a runs/b --data-root DATA

For each run: the float student, weights of 8 bits rounded to what is nearest without looking at data, and what
`neurokd export` chooses on training images for each number of bits. All on the same test images; the integers run
on the simulator. Figures are kept in the file next to the page, so that what was measured is not measured again.
"""

import argparse
import json
import platform
import re
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from neurokd.export.artefact import first_images
from neurokd.export.network import LoihiNetwork
from neurokd.export.opened import open_run
from neurokd.export.quantization.calibrate import calibrate, float_logits
from neurokd.export.quantization.quantize import quantize
from neurokd.export.quantization.scale_search import ScaleOptions, integer_logits
from neurokd.report.chart_lines import Frame, Series, line_chart
from neurokd.runs import Run

ROOT = Path(__file__).parents[1]
STYLE = ROOT / "neurokd" / "report" / "report.css"
BITS = (8, 7, 6, 5, 4, 3, 2)
ALLOWED_POINTS = 0.3
REMARKS = "\n## What remains\n"  # from here on the page is written by hand, and kept
INTRODUCTION = """# What integers cost without training

| | |
| --- | --- |
| date | {date} |
| machine | {machine} |
| versions | Python {python}, torch {torch} |
| images | {images} test images of each data set; scales are chosen on 512 training images |

```console
$ python benchmarks/ptq_curve.py {runs} --data-root DATA
```

"Nearest" rounds every weight to the nearest integer of 8 bits and looks at no data. The other columns are what
[`neurokd export`](../how-to/quantise.md) writes for weights of that many bits: accuracy, and in brackets how many
points it is away from the float student. "Agreement" is the share of images with the float student's prediction,
after nearest rounding and, behind the columns of bits, of the export at 8 bits.

{table}

![Points lost against bits]({name}.svg)

{verdict}
"""


def main() -> None:
    """Measure what is not measured yet, print the table, write page and chart."""
    arguments = _arguments()
    page: Path = arguments.page
    record = page.with_suffix(".json")
    known: dict[str, dict[str, Any]] = json.loads(record.read_text()) if record.is_file() else {}
    for path in arguments.runs:
        row = known.setdefault(path.name, {})
        measure(Run(path), row, arguments)
        record.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    rows = {path.name: known[path.name] for path in arguments.runs}
    print(table(rows))
    by_hand = page.read_text(encoding="utf-8").partition(REMARKS) if page.is_file() else ("", "", "")
    page.write_text(text(rows, arguments) + "".join(by_hand[1:]), encoding="utf-8")
    page.with_suffix(".svg").write_text(chart(rows), encoding="utf-8")


def measure(run: Run, row: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Fill `row` with what is not there yet."""
    missing = [bits for bits in arguments.bits if str(bits) not in row]
    if not missing:
        return
    opened = open_run(run, arguments.data_root)
    folded, training = opened.folded, opened.calibration_images()
    test = first_images(opened.dataset.test, arguments.samples)
    wanted, given = float_logits(opened.student, test), float_logits(opened.student, training)
    labels = test.labels.numpy()
    row |= {"images": len(test), "float": float((wanted.argmax(1) == labels).mean())}

    def scores(network: LoihiNetwork) -> dict[str, Any]:
        got = integer_logits(network, test).argmax(1)
        return {"accuracy": float((got == labels).mean()), "agreement": float((got == wanted.argmax(1)).mean())}

    row["nearest"] = scores(quantize(folded).network)
    for bits in missing:
        start = time.perf_counter()
        options = ScaleOptions(arguments.search, bits)
        chosen = calibrate(folded, given, training, opened.dataset.classes, options).chosen
        seconds = time.perf_counter() - start
        row[str(bits)] = scores(chosen.quantized.network) | {
            "method": chosen.method, "input_bits": chosen.input_bits, "seconds": seconds,
        }  # fmt: skip
        print(run.path.name, bits, row["float"], row["nearest"], row[str(bits)], flush=True)


def table(rows: dict[str, dict[str, Any]]) -> str:
    """One row for each run."""
    bits = [count for count in BITS if any(str(count) in row for row in rows.values())]
    head = ["run", "float", "nearest", "agreement", *(f"{count} bits" for count in bits), "agreement", "input bits"]
    lines = [head, ["---"] * len(head)]
    for name, row in rows.items():
        best = row[str(bits[0])]
        cells = [_lost(row, row["nearest"]), f"{row['nearest']['agreement']:.2%}"]
        cells += [_lost(row, row[str(count)]) if str(count) in row else "" for count in bits]
        lines.append([name, f"{row['float']:.2%}", *cells, f"{best['agreement']:.2%}", str(best["input_bits"])])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _lost(row: dict[str, Any], scores: dict[str, Any]) -> str:
    return f"{scores['accuracy']:.2%} ({100 * (scores['accuracy'] - row['float']):+.2f})"


def text(rows: dict[str, dict[str, Any]], arguments: argparse.Namespace) -> str:
    """The page."""
    lost = {name: round(100 * (row["float"] - row["8"]["accuracy"]), 6) for name, row in rows.items()}
    over = [f"{name} {points:.2f}" for name, points in lost.items() if points > ALLOWED_POINTS]
    verdict = f"Of {len(rows)} runs, {len(rows) - len(over)} lose at most {ALLOWED_POINTS} points at 8 bits; the mean "
    verdict += f"over all is {sum(lost.values()) / len(lost):+.2f} points lost." + (
        f" More is lost by: {', '.join(over)}." if over else ""
    )
    return INTRODUCTION.format(
        date=date.today().isoformat(), machine=arguments.machine, python=platform.python_version(),
        torch=torch.__version__.partition("+")[0], runs=" ".join(f"runs/{name}" for name in rows),
        images=f"{max(row['images'] for row in rows.values()):,}", table=table(rows), name=arguments.page.stem,
        verdict=verdict,
    )  # fmt: skip


def chart(rows: dict[str, dict[str, Any]]) -> str:
    """Points lost against the bits of a weight, an SVG file of its own in the style of the report.

    Runs with several numbers of bits are drawn, without 2 bits, whose losses would hide all others.
    """
    drawn_bits = {name: [bits for bits in sorted(BITS) if bits > 2 and str(bits) in row] for name, row in rows.items()}
    series = [
        Series(name, tuple((float(bits), _points(rows[name], bits)) for bits in found))
        for name, found in drawn_bits.items()
        if len(found) > 1
    ]
    frame = Frame("Points lost against the bits of a weight", "bits of a weight", lambda y: f"{y:g}", floor=-100.0)
    rules = r"^\.chart.*$|^:root[^}]*\}|^@media \(pref[^}]*\}\s*\}"
    style = "\n".join(re.findall(rules, STYLE.read_text(encoding="utf-8"), re.MULTILINE))
    head = '<svg xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" '
    paper = '<rect width="100%" height="100%" fill="var(--paper)"></rect>'
    drawn = str(line_chart(series, frame)).replace("<svg ", head, 1)
    return drawn.replace("</title>", f"</title><style>{style}</style>{paper}", 1) + "\n"


def _points(row: dict[str, Any], bits: int) -> float:
    return float(100 * (row["float"] - row[str(bits)]["accuracy"]))


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--data-root", type=Path, help="default: $NEUROKD_DATA")
    parser.add_argument("--samples", type=int, help="test images; default all")
    parser.add_argument("--search", choices=("min-max", "percentile", "mse", "best"), default="best")
    parser.add_argument("--bits", type=int, nargs="+", default=list(BITS))
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results" / "ptq.md")
    parser.add_argument("--machine", default=f"{platform.system()} {platform.machine()}", help="class of machine")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
