"""Time of one training step of every method, relative to `ce` with the same student.

Run it as `python benchmarks/method_overhead.py`. All methods take turns in one process, so that a busy machine slows
all of them alike; the figures are medians over the rounds of ratios within a round. The teacher's forward pass is
measured by itself in the same rounds: a method's own share is what remains without it.
"""

import statistics
import time
from collections.abc import Callable

import torch

from neurokd.allocator import keep_freed_memory
from neurokd.distill import METHODS
from neurokd.distiller import Distiller
from neurokd.models import build_model
from neurokd.recipe import TrainingConfig
from neurokd.spiking import to_spiking

SHAPE, CLASSES, BATCH, TIMESTEPS, ROUNDS = (3, 32, 32), 10, 64, 2, 25
STUDENT, TEACHER = ("vgg-tiny", 32), ("resnet18", 16)


def step_of(name: str, batch: tuple[torch.Tensor, torch.Tensor]) -> Callable[[], None]:
    """One training step of a method: both networks forward, the loss, backward, the optimiser."""
    torch.manual_seed(0)
    student = to_spiking(build_model(STUDENT[0], SHAPE, CLASSES, width=STUDENT[1]), timesteps=TIMESTEPS)
    teacher = build_model(TEACHER[0], SHAPE, CLASSES, width=TEACHER[1]) if METHODS[name].needs_teacher else None
    layout = torch.channels_last
    module = Distiller(
        student.to(memory_format=layout),  # type: ignore[call-overload]
        METHODS[name](),
        TrainingConfig(),
        teacher=teacher.to(memory_format=layout) if teacher else None,  # type: ignore[call-overload]
        sample=batch[0][:2] / 255.0,
    )
    module.train()
    for frozen in module.frozen:
        frozen.eval()
    module.log = module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        module.training_step(batch, 0).backward()
        optimizer.step()

    return step


def teacher_forward(batch: tuple[torch.Tensor, torch.Tensor]) -> Callable[[], None]:
    """The teacher's forward pass alone."""
    teacher = build_model(TEACHER[0], SHAPE, CLASSES, width=TEACHER[1]).eval()
    teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = (batch[0] / 255.0).contiguous(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.no_grad():
            teacher(images)

    return forward


def main() -> None:
    """Print the table."""
    keep_freed_memory()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH, *SHAPE), dtype=torch.uint8, generator=generator)
    batch = images, torch.randint(0, CLASSES, (BATCH,), generator=generator)
    runs = {name: step_of(name, batch) for name in METHODS} | {"teacher": teacher_forward(batch)}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(ROUNDS + 3):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if number >= 3:  # the first rounds warm up
                seconds[name].append(time.perf_counter() - start)

    def ratio(name: str) -> float:
        return statistics.median(a / b for a, b in zip(seconds[name], seconds["ce"], strict=True))

    forward = ratio("teacher")
    print(f"student {STUDENT[0]} (width {STUDENT[1]}), teacher {TEACHER[0]} (width {TEACHER[1]}), ", end="")
    print(f"T = {TIMESTEPS}, batch {BATCH}, {torch.get_num_threads()} threads, {ROUNDS} rounds")
    print(
        f"ce: {1000 * statistics.median(seconds['ce']):.0f} ms a step; the teacher's forward pass {forward:.2f} of it"
    )
    print("| method | time / ce | without the teacher's forward |\n| --- | --- | --- |")
    for name in METHODS:
        own = ratio(name) - (forward if METHODS[name].needs_teacher else 0.0)
        print(f"| `{name}` | {ratio(name):.2f} | {own:.2f} |")


if __name__ == "__main__":
    main()
