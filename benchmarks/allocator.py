"""What `neurokd.allocator.keep_freed_memory` is worth: images/s of CPU training with and without it.

    python benchmarks/allocator.py

Each figure comes from a process of its own, and the two are measured in turns, because the setting
cannot be taken back. Prints the ratio of the medians.
"""

import statistics
import subprocess
import sys
import time

ROUNDS = 3


def measure(keep: bool) -> float:
    """Images per second of forward and backward passes of vgg-tiny at T = 4."""
    import torch

    from neurokd.allocator import keep_freed_memory
    from neurokd.models import build_model
    from neurokd.spiking import to_spiking

    if keep and not keep_freed_memory():
        raise SystemExit("this system's allocator takes no settings")
    student = to_spiking(build_model("vgg-tiny", (1, 28, 28), 10), timesteps=4).to(memory_format=torch.channels_last)
    images = torch.rand(64, 1, 28, 28).contiguous(memory_format=torch.channels_last)
    for _ in range(3):
        student(images).sum().backward()
    start, steps = time.perf_counter(), 12
    for _ in range(steps):
        student(images).sum().backward()
    return steps * len(images) / (time.perf_counter() - start)


def main() -> None:
    """Measure both settings in turns and print the ratio."""
    if len(sys.argv) == 2:
        print(measure(sys.argv[1] == "keep"))
        return
    figures: dict[str, list[float]] = {"default": [], "keep": []}
    for _ in range(ROUNDS):
        for setting, values in figures.items():
            done = subprocess.run([sys.executable, __file__, setting], capture_output=True, text=True, check=True)
            values.append(float(done.stdout.split()[-1]))
    medians = {setting: statistics.median(values) for setting, values in figures.items()}
    print({setting: [round(value) for value in values] for setting, values in figures.items()}, "images/s")
    print(f"keeping freed memory: {medians['keep'] / medians['default']:.2f} times the default")


if __name__ == "__main__":
    main()
