"""How long the command line takes to answer: wall seconds of `neurokd --help`, from outside.

python benchmarks/start_up.py
"""

import statistics
import subprocess
import sys
import time

RUNS = 10


def main() -> None:
    """Print minimum, median and maximum."""
    command = [sys.executable, "-m", "neurokd", "--help"]
    seconds = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    seconds = seconds[1:]  # the first one reads the files from the disk
    print(
        f"neurokd --help: {min(seconds):.2f} / {statistics.median(seconds):.2f} / {max(seconds):.2f} s (min/median/max)"
    )


if __name__ == "__main__":
    main()
