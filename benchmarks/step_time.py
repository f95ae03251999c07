"""What a training step of `conf/cpu` takes, with its patches: processor time, and seconds.

    python benchmarks/step_time.py stardist mask_rcnn

Processor time says what the step takes on a busy machine, too: two cores that do nothing else need half of it or a
little more. The data must have been processed: `kedro run --env cpu --pipelines data_download` and `data_processing`.
"""

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from nucseg.augment.augmenter import Augmenter
from nucseg.params import check_parameters
from nucseg.pipelines.model_training.nodes import trainer
from nucseg.training import train

ROOT = Path(__file__).parents[1]
STEPS = 15
SHORT = {"steps_per_epoch": STEPS, "epochs": 4, "validation_patches": 1, "tensorboard_images": 0}


class Clock(keras.callbacks.Callback):
    """Notes processor time and seconds of each epoch, without its validation."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[tuple[float, float]] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clocks."""
        self._began = (time.process_time(), time.perf_counter())

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Read the clocks after the last step."""
        if batch == STEPS - 1:
            self.epochs.append((time.process_time() - self._began[0], time.perf_counter() - self._began[1]))


def measure(model: str) -> tuple[float, float]:
    """Return the processor time and the seconds of a step; the first epoch, which compiles, does not count."""
    bootstrap_project(ROOT)
    with KedroSession.create(ROOT, env="cpu", runtime_params={model: {"training": SHORT}}) as session:
        context = session.load_context()
        samples, parameters = context.catalog.load("samples"), check_parameters(context.params, [])
    section, clock, made = parameters.of_model(model), Clock(), train.make_callbacks
    train.make_callbacks = lambda *arguments: [*made(*arguments), clock]
    with TemporaryDirectory() as folder:
        trainer(model)(
            samples,
            Augmenter.from_config(parameters.data_augmentations).to_dict(),
            parameters.data_preprocessing,
            section.architecture.model_dump(),
            section.sampling,
            section.training,
            Path(folder),
        )
    processor, seconds = np.median(clock.epochs[1:], axis=0) / STEPS
    return processor, seconds


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print("{}: {:.2f} s of processor time, {:.2f} s".format(name, *measure(name)))
