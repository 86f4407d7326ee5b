"""Lightning's loop around a `Distiller`: checkpoints every epoch, continues from the last one, logs what happened."""

import csv
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from neurokd.data.images import DataSet, Split
from neurokd.data.loader import batches
from neurokd.distiller import Distiller
from neurokd.errors import NeurokdError
from neurokd.runs import Run

logger = logging.getLogger(__name__)

EVALUATION_BATCH = 256


class _Bar(RichProgressBar):
    """Lightning's bar without the name of the log folder."""

    def get_metrics(self, *arguments: Any) -> dict[str, Any]:
        """The running losses and accuracies."""
        return {name: value for name, value in super().get_metrics(*arguments).items() if name != "v_num"}


class _EpochLog(Callback):
    """One line an epoch where there is no bar: a log that says nothing for half an hour looks dead."""

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the validation accuracy."""
        accuracy = float(trainer.callback_metrics["val_accuracy"])
        logger.info(
            "epoch %d/%d: validation accuracy %.2f %%", trainer.current_epoch + 1, trainer.max_epochs, 100 * accuracy
        )


def train(module: Distiller, run: Run, dataset: DataSet, parts: Split, progress: bool) -> int | None:
    """Train from the last checkpoint of `run`, if there is one; leave the best weights in `module` and `run`.

    Returns the best epoch on validation data, counted from 0. For 0 epochs the weights are left as they are, and it
    is None.

    An interrupted run loses at most the epoch under way, and continued it ends where it would have
    ended (on the same machine). Raises NeurokdError for an interruption or a damaged checkpoint.
    """
    recipe, config = run.recipe, module.config
    if config.epochs == 0:
        module.on_fit_end()
        run.save_weights(module.student)
        return None
    last = run.checkpoints / "last.ckpt"
    loader = batches(
        dataset.lessons or dataset.train, parts.train, config.batch_size, augment=recipe.data.augment,
        seed=recipe.seed, classes=len(dataset.classes), shuffle=True, workers=config.workers,
    )  # fmt: skip
    validation = batches(dataset.train, parts.validation, EVALUATION_BATCH, seed=recipe.seed)
    best = ModelCheckpoint(run.checkpoints, "best", "val_score", mode="max", enable_version_counter=False)
    with _quiet():
        trainer = _trainer(module, run, best, progress)
        try:
            trainer.fit(module, loader, validation, ckpt_path=last if last.exists() else None, weights_only=True)
        except SystemExit as error:  # Lightning's answer to Ctrl-C
            raise _interrupted(run) from error
        except KeyboardInterrupt as error:
            raise _interrupted(run) from error
        except (RuntimeError, EOFError, KeyError, ValueError) as error:
            if last.exists() and not _readable(last):
                raise NeurokdError(f"checkpoint '{last}': damaged; delete '{run.path}' and train again") from error
            raise
    chosen = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(chosen["state_dict"])
    run.save_weights(module.student)
    return int(chosen["epoch"])


def _trainer(module: Distiller, run: Run, best: ModelCheckpoint, progress: bool) -> L.Trainer:
    bars: list[Callback] = [_Bar(leave=False) if progress else _EpochLog()]
    # after every epoch and after `best`, whose state it holds; `save_last` would write it with a new best only
    every = ModelCheckpoint(run.checkpoints, "last", enable_version_counter=False)
    return L.Trainer(
        max_epochs=module.config.epochs,
        precision=module.config.precision,
        gradient_clip_val=module.config.clip_norm,
        callbacks=[*bars, best, every],
        logger=[_csv_logger(run.path), TensorBoardLogger(run.path, name="", version="tensorboard")],
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
    )


def _csv_logger(path: Path) -> CSVLogger:
    """A logger that goes on with `metrics.csv`, which Lightning's would start anew."""
    file = path / "metrics.csv"
    rows: list[dict[str, float]] = []
    if file.is_file():
        with file.open(newline="", encoding="utf-8") as text:
            rows = [
                {k: int(v) if v.isdigit() else float(v) for k, v in row.items() if v} for row in csv.DictReader(text)
            ]
    logger = CSVLogger(path, name="", version="")
    logger.experiment.metrics.extend(rows)
    return logger


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advertisements and notes on normal things stay out of the terminal."""
    loggers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric", "pytorch.utilities.rank_zero")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in ("exists and is not empty", "does not have many workers", "treespec", "log_every_n_steps"):
            warnings.filterwarnings("ignore", f".*{message}")
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _interrupted(run: Run) -> NeurokdError:
    return NeurokdError(f"interrupted; '{run.path}' can be continued with: neurokd train --resume")


def _readable(checkpoint: Path) -> bool:
    try:
        torch.load(checkpoint, weights_only=True, map_location="cpu")
    except Exception:  # any failure means that it cannot be read
        return False
    return True
