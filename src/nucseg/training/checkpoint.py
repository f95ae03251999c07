"""Everything needed to resume a killed training run, in one file that is replaced after each epoch."""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import StorageError
from nucseg.core.files import atomic_file

logger = logging.getLogger(__name__)

_STATE_OF = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
}


class Checkpoint(keras.callbacks.Callback):
    """Saves the training after each epoch, and restores it when `fit` begins.

    The file holds the network's variables (weights and random seeds), the optimizer's (slots, iterations, learning
    rate), the state of early stopping (with the best weights) and of the plateau schedule, and the history. It must be
    the last callback, so that it sees the state of the others after their update.

    Args:
        path: The file, `.npz`.
        others: The callbacks of this training; the state of those known to have one is saved, too.
    """

    def __init__(self, path: Path, others: list[keras.callbacks.Callback]) -> None:
        super().__init__()
        self.path = path
        self._stateful = {type(callback).__name__: callback for callback in others if type(callback) in _STATE_OF}
        self.history: list[dict[str, float]] = []
        """One entry an epoch: `epoch` (from 1), `learning_rate` (at its end, before it falls on a plateau), losses."""
        self.finished = False

    def load_history(self) -> None:
        """Read the history of an earlier run, which determines where to resume.

        Raises:
            StorageError: The file is not readable.
        """
        for leftover in self.path.parent.glob(f".writing-*/{self.path.name}"):
            shutil.rmtree(leftover.parent, ignore_errors=True)  # of a run that was killed while it saved
        if self.path.is_file():
            state = self._read()[0]
            self.history, self.finished = state["history"], state["finished"]

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Restore what was saved, after the other callbacks have reset theirs."""
        if not self.path.is_file():
            return
        state, arrays = self._read()
        try:
            _assign(_variables(self.model), arrays["model"])
            _assign(self.model.optimizer.variables, arrays["optimizer"])
        except ValueError as error:
            raise StorageError(
                f"{self.path}: saved by another network or optimizer ({error}). Delete it to retrain."
            ) from error
        for name, callback in self._stateful.items():
            for key, value in state["callbacks"][name].items():
                setattr(callback, key, value)
        if arrays["best"]:
            self._stateful["EarlyStopping"].best_weights = arrays["best"]

    def best_weights(self) -> list[NDArray]:
        """Read the weights of the epoch with the best validation, in the order of `model.get_weights()`."""
        return self._read()[1]["best"]

    def set_last_weights(self, model: keras.Model) -> None:
        """Set the weights of the last epoch, whether or not they were the best."""
        _assign(_variables(model), self._read()[1]["model"])

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the training."""
        # ReduceLROnPlateau, which comes before, logs the rate too.
        entry = {"learning_rate": self.model.optimizer.learning_rate, **(logs or {})}
        self.history.append({"epoch": epoch + 1, **{key: float(value) for key, value in entry.items()}})
        self.finished = epoch + 1 == self.params["epochs"] or self.model.stop_training
        callbacks = {
            name: {key: getattr(callback, key) for key in _STATE_OF[type(callback)]}
            for name, callback in self._stateful.items()
        }
        best = callbacks.get("EarlyStopping", {}).pop("best_weights", None) or []
        state = {"history": self.history, "finished": self.finished, "callbacks": callbacks}
        arrays = {
            "model": [variable.numpy() for variable in _variables(self.model)],
            "optimizer": [variable.numpy() for variable in self.model.optimizer.variables],
            "best": best,
        }
        named: dict[str, Any] = {
            f"{group} {number:05d}": value for group, values in arrays.items() for number, value in enumerate(values)
        }
        with atomic_file(self.path) as temporary:
            np.savez(temporary, state=np.array(json.dumps(state)), **named)

    def _read(self) -> tuple[dict[str, Any], dict[str, list[NDArray]]]:
        try:
            with np.load(self.path) as file:
                state = json.loads(str(file["state"]))
                names = sorted(set(file.files) - {"state"})
                arrays = {
                    group: [file[name] for name in names if name.startswith(f"{group} ")]
                    for group in ("model", "optimizer", "best")
                }
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise StorageError(f"{self.path}: not readable ({error}). Delete it to retrain.") from error
        return state, arrays


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Return weights and random seeds; metrics restart with each epoch."""
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in model.variables if id(variable) not in metrics]


def _assign(variables: list[keras.Variable], values: list[NDArray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
