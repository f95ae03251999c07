"""Callbacks of the fit: log lines, early stopping, the plateau schedule, TensorBoard."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import keras

from nucseg.training.config import TrainingConfig

logger = logging.getLogger(__name__)


def make_callbacks(config: TrainingConfig, tensorboard: Path) -> list[keras.callbacks.Callback]:
    """Create the callbacks of a training run, without its checkpoint.

    Args:
        config: The schedule and the stopping rule.
        tensorboard: Folder of the event files.
    """
    callbacks: list[keras.callbacks.Callback] = [
        # Without a patience it never stops, but still keeps the best weights.
        keras.callbacks.EarlyStopping(
            patience=config.early_stopping_patience or config.epochs + 1, restore_best_weights=True
        ),
        keras.callbacks.TensorBoard(str(tensorboard), write_graph=False),
        EpochLog(config),
    ]
    if config.schedule == "plateau":
        callbacks.insert(
            0, keras.callbacks.ReduceLROnPlateau(factor=config.plateau_factor, patience=config.plateau_patience)
        )
    return callbacks


class EpochLog(keras.callbacks.Callback):
    """Log one line per epoch: losses, learning rate, time per step, maximum time left."""

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        self._config = config
        self._begin = 0.0
        self._trained = 0.0

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
            (now - self._begin) * (self._config.epochs - epoch - 1) / 60,
        )
