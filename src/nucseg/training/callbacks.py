"""Callbacks of the fit: log lines, early stopping, the plateau schedule, TensorBoard."""

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path

import keras

from nucseg.training.config import TrainingConfig

logger = logging.getLogger(__name__)


def make_callbacks(config: TrainingConfig, tensorboard: Path, following: int = 0) -> list[keras.callbacks.Callback]:
    """Create the callbacks of a training run, without its checkpoint.

    Args:
        config: The schedule and the stopping rule.
        tensorboard: Folder of the event files.
        following: Number of trainings like this one that follow it, for the time left.
    """
    callbacks: list[keras.callbacks.Callback] = [
        # Without a patience it never stops, but still keeps the best weights.
        keras.callbacks.EarlyStopping(
            patience=config.early_stopping_patience or config.epochs + 1, restore_best_weights=True
        ),
        keras.callbacks.TensorBoard(str(tensorboard), write_graph=False),
        EpochLog(config, following),
    ]
    if config.minutes is not None:
        callbacks.append(TimeLimit(60 * config.minutes))
    if config.schedule == "plateau":
        callbacks.insert(
            0, keras.callbacks.ReduceLROnPlateau(factor=config.plateau_factor, patience=config.plateau_patience)
        )
    return callbacks


class TimeLimit(keras.callbacks.Callback):
    """Stop a training before an epoch that would not end in time.

    Args:
        seconds: Time for the epochs.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._started = self._begun = 0.0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Note when the epoch began."""
        self._begun = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Stop if another epoch like this one would end too late."""
        now = time.monotonic()
        if now - self._started + (now - self._begun) > self._seconds:
            logger.info("The time is up after epoch %d.", epoch + 1)
            self.model.stop_training = True


class EpochLog(keras.callbacks.Callback):
    """Log one line per epoch: losses, learning rate, time per step, maximum time left.

    Args:
        config: The schedule.
        following: Number of trainings like this one that follow it.
    """

    def __init__(self, config: TrainingConfig, following: int = 0) -> None:
        super().__init__()
        self._config = config
        self._following = following
        self._begin = 0.0
        self._trained = 0.0
        self._started = 0.0

    def _minutes_left(self, epoch: int, now: float) -> float:
        """Return the minutes of the epochs after this one, and of those of the trainings that follow, at most."""
        each = (now - self._begin) / 60  # of an epoch, of which each training does one whatever the limit
        limit = math.inf if self._config.minutes is None else self._config.minutes
        own = min(each * (self._config.epochs - epoch - 1), max(0.0, limit - (now - self._started) / 60))
        return own + self._following * min(each * self._config.epochs, max(each, limit))

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock of the whole training."""
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock."""
        self._begin = time.monotonic()

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Stop the clock of the training steps: what follows is validation."""
        self._trained = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Write the line."""
        logs = logs or {}
        now = time.monotonic()
        logger.info(
            "Epoch %d/%d: loss %.4f, val_loss %.4f, learning rate %.2e, %.0f ms per step, at most %.0f min left.",
            epoch + 1,
            self._config.epochs,
            logs["loss"],
            logs["val_loss"],
            float(self.model.optimizer.learning_rate),
            1000 * (self._trained - self._begin) / self._config.steps_per_epoch,
            self._minutes_left(epoch, now),
        )
