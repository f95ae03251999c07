"""Adam and the schedules of its learning rate."""

from math import ceil
from typing import Any

import keras

from nucseg.training.config import TrainingConfig


def make_optimizer(config: TrainingConfig) -> keras.Optimizer:
    """Create the optimizer; `plateau` starts with a constant rate, which a callback then lowers."""
    return keras.optimizers.Adam(
        learning_rate=_learning_rate(config),
        weight_decay=config.weight_decay or None,
        global_clipnorm=config.clip_norm,
    )


def _learning_rate(config: TrainingConfig) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if config.schedule != "cosine":
        return config.learning_rate
    steps = ceil(config.epochs / config.cycles) * config.steps_per_epoch
    # A short training (a demonstration) warms up for a tenth of its steps at most.
    warmup = min(config.warmup_steps, steps // 10)
    if warmup == 0:
        cycle = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    else:
        cycle = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warmup, warmup_target=config.learning_rate, warmup_steps=warmup
        )
    return cycle if config.cycles == 1 else Cycles(cycle, steps, config.cycle_decay)


class Cycles(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that restarts, each time lower (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983).

    Keras's `CosineDecayRestarts` does not warm up.

    Args:
        cycle: The schedule of the first cycle.
        steps: Length of a cycle.
        decay: Factor of the rates from cycle to cycle.
    """

    def __init__(self, cycle: keras.optimizers.schedules.LearningRateSchedule, steps: int, decay: float) -> None:
        self._cycle = cycle
        self._steps = steps
        self._decay = decay

    def __call__(self, step: Any) -> Any:
        """Compute the rate at a step, a scalar tensor."""
        number = keras.ops.floor(keras.ops.cast(step, "float32") / self._steps)
        within = keras.ops.cast(step, "float32") - number * self._steps
        return self._cycle(within) * self._decay**number
