"""The training loop: one LightningModule for ANN and SNN, and `fit`, which leaves a complete run."""

import logging
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import nn

from neurokd.allocator import keep_freed_memory
from neurokd.data.dataset import load_dataset
from neurokd.data.images import DataSet, Split
from neurokd.data.loader import batches
from neurokd.data.splits import split
from neurokd.distill import Objective
from neurokd.errors import NeurokdError
from neurokd.evaluation import evaluate
from neurokd.files import write_json
from neurokd.models import build_model
from neurokd.models.macs import count_macs
from neurokd.pixels import to_input
from neurokd.recipe import Recipe, TrainingConfig
from neurokd.runs import Run, create_run, now
from neurokd.spiking import to_spiking

logger = logging.getLogger(__name__)


class Distiller(L.LightningModule):
    """Trains `student` by `objective`, beside a frozen teacher where the objective asks for one."""

    def __init__(self, student: nn.Module, objective: Objective, config: TrainingConfig, seed: int = 0) -> None:
        super().__init__()
        self.student = student
        self.objective = objective
        self.config = config
        self.seed = seed
        self.frozen: list[nn.Module] = []  # a list, so that the teacher is not saved with the student

    def on_fit_start(self) -> None:
        """Bring the teacher to the student's device."""
        for teacher in self.frozen:
            teacher.to(self.device).eval().requires_grad_(False)

    def on_train_epoch_start(self) -> None:
        """Seed dropout and the like by the epoch, so that a resumed run repeats an uninterrupted one."""
        torch.manual_seed(self.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """Loss of one batch; NeurokdError if it is not finite."""
        images, labels = to_input(batch[0]), batch[1]
        with torch.no_grad():
            teacher = self.frozen[0](images) if self.frozen else None
        result = self.objective(logits_per_step(self.student, images), labels, teacher)
        if not torch.isfinite(result.loss):
            terms = ", ".join(f"{name} {float(value):g}" for name, value in result.terms.items())
            raise NeurokdError(
                f"training: the loss is {float(result.loss)} at epoch {self.current_epoch}, batch {index} ({terms}); "
                "lower training.lr or the objective's weights"
            )
        self.log_dict({f"train_{k}": v for k, v in result.terms.items()}, on_epoch=True, on_step=False)
        self.log("train_loss", result.loss, on_epoch=True, on_step=False, prog_bar=True)
        return result.loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> None:
        """Accuracy of the mean logits on validation data."""
        logits = logits_per_step(self.student, to_input(batch[0])).mean(dim=0)
        accuracy = (logits.argmax(dim=1) == batch[1]).float().mean()
        loss = nn.functional.cross_entropy(logits, batch[1])
        self.log_dict({"val_accuracy": accuracy, "val_loss": loss}, prog_bar=True, batch_size=len(batch[1]))

    def configure_optimizers(self) -> Any:
        """The optimiser and schedule of the recipe."""
        c = self.config
        decayed = [p for p in self.student.parameters() if p.ndim > 1]
        others = [p for p in self.student.parameters() if p.ndim <= 1]  # BN and biases: no decay
        groups = [{"params": decayed, "weight_decay": c.weight_decay}, {"params": others, "weight_decay": 0.0}]
        if c.optimizer == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, lr=c.lr, momentum=c.momentum, nesterov=True)
        else:
            optimizer = torch.optim.AdamW(groups, lr=c.lr)
        steps = int(self.trainer.estimated_stepping_batches)
        schedules = torch.optim.lr_scheduler
        scheduler = {
            "onecycle": lambda: schedules.OneCycleLR(optimizer, c.lr, total_steps=steps, pct_start=0.2),
            "cosine": lambda: schedules.CosineAnnealingLR(optimizer, T_max=steps),
            "constant": lambda: schedules.ConstantLR(optimizer, factor=1.0),
        }[c.schedule]()
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def logits_per_step(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits `[T, B, C]` of a spiking network, `[1, B, C]` of an ANN."""
    logits: torch.Tensor = model(images)
    return logits if logits.ndim == 3 else logits.unsqueeze(0)


def build_student(recipe: Recipe, dataset_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The untrained network of a recipe: spiking, or the plain ANN for `neuron: null`."""
    L.seed_everything(recipe.seed, verbose=False)
    ann = build_model(recipe.model.name, dataset_shape, classes, **recipe.model.options())
    model = ann if recipe.neuron is None else to_spiking(ann, recipe.neuron, recipe.timesteps)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def load_model(run: Run, dataset: DataSet) -> nn.Module:
    """The trained network of a run, in evaluation mode."""
    model = build_student(run.recipe, dataset.shape, len(dataset.classes))
    run.load_weights(model)
    return model.eval()


def fit(recipe: Recipe, path: Path, *, data_root: Path | None = None, progress: bool = True) -> Run:
    """Train `recipe` into the run folder `path`, continuing there if it was interrupted.

    The teacher is trained first, or taken from the cache (`neurokd.teachers`). The best epoch on
    validation data is kept; the test set is used once, at the end. Raises NeurokdError for data
    that is missing, a model that cannot be built, a loss that is not finite.
    """
    from neurokd.teachers import teacher_of

    keep_freed_memory()
    dataset = load_dataset(recipe.data, data_root)
    parts = split(dataset, recipe.data.validation, recipe.seed)
    student = build_student(recipe, dataset.shape, len(dataset.classes))
    run = create_run(recipe, path)
    if run.finished:
        return run
    run.save_split(parts)
    teacher = teacher_of(recipe, dataset, data_root, progress=progress) if recipe.method.needs_teacher else None
    module = Distiller(student, recipe.method, recipe.training, recipe.seed)
    module.frozen = [load_model(teacher.run, dataset)] if teacher else []
    start = time.perf_counter()
    _train(module, run, dataset, parts, progress)
    seconds = time.perf_counter() - start
    measured = _measure(student, run, dataset, parts, recipe)
    wall_s = {"teacher": teacher.result["wall_s"]["student"] if teacher else None, "student": seconds}
    write_json(
        run.path / "result.json", {**measured, "teacher": teacher.describe() if teacher else None, "wall_s": wall_s}
    )
    return run


def _train(module: Distiller, run: Run, dataset: DataSet, parts: Split, progress: bool) -> None:
    """Run Lightning from the last checkpoint, if any, and keep the best weights."""
    recipe, config = run.recipe, module.config
    best = ModelCheckpoint(
        run.checkpoints, "best", "val_accuracy", mode="max", save_last=True, enable_version_counter=False
    )
    bars: list[Callback] = [L.pytorch.callbacks.RichProgressBar(leave=False)] if progress else []
    trainer = L.Trainer(
        max_epochs=config.epochs,
        precision=config.precision,
        gradient_clip_val=config.clip_norm,
        callbacks=[best, *bars],
        logger=[CSVLogger(run.path, name="", version=""), TensorBoardLogger(run.path, name="", version="tensorboard")],
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )
    loader = batches(
        dataset.train, parts.train, config.batch_size,
        augment=recipe.data.augment, seed=recipe.seed, shuffle=True, workers=config.workers,
    )  # fmt: skip
    validation = batches(dataset.train, parts.validation, 256, seed=recipe.seed)
    last = run.checkpoints / "last.ckpt"
    try:
        trainer.fit(module, loader, validation, ckpt_path=last if last.exists() else None, weights_only=True)
    except SystemExit as error:  # Lightning's answer to Ctrl-C
        raise NeurokdError(f"interrupted; '{run.path}' can be continued with: neurokd train --resume") from error
    chosen = torch.load(best.best_model_path, weights_only=True, map_location="cpu")["state_dict"]
    module.load_state_dict(chosen)
    run.save_weights(module.student)


def _measure(student: nn.Module, run: Run, dataset: DataSet, parts: Split, recipe: Recipe) -> dict[str, Any]:
    """Everything `result.json` says about the student; here the test set is used."""
    student.eval()
    validation = evaluate(student, dataset.train.subset(torch.as_tensor(parts.validation)))
    test = evaluate(student, dataset.test)
    network = getattr(student, "net", student)
    return {
        "format": 1,
        "name": run.path.name,
        "created": now(),
        "timesteps": recipe.timesteps,
        "classes": list(dataset.classes),
        "method": recipe.method.name,
        "data": {
            "name": dataset.name,
            "fingerprint": {"train": dataset.train.fingerprint(), "test": dataset.test.fingerprint()},
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(dataset.test),
        },
        "student": {
            "model": recipe.model.name,
            "parameters": sum(p.numel() for p in network.parameters()),
            "macs": count_macs(
                build_model(recipe.model.name, dataset.shape, len(dataset.classes), **recipe.model.options()),
                dataset.shape,
            ),
            "accuracy": test.accuracy_per_step[-1],
            "accuracy_per_step": test.accuracy_per_step,
            "validation_accuracy": validation.accuracy_per_step[-1],
            "firing_rate": test.firing_rate,
        },
    }
