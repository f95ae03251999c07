"""Adam and the schedules of its learning rate."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import keras

from nucseg.core.errors import ConfigError
from nucseg.training.config import TrainingConfig


def make_optimizer(config: TrainingConfig, network: keras.Model | None = None) -> keras.Optimizer:
    """Create the optimizer; `plateau` starts with a constant rate, which a callback then lowers.

    Args:
        config: Rates and schedule.
        network: The network, whose layer `trunk` may have a rate of its own.

    Raises:
        ConfigError: The trunk has a rate of its own, but the network has no trunk.
    """
    options: dict[str, Any] = {
        "learning_rate": _learning_rate(config),
        "weight_decay": config.weight_decay or None,
        "global_clipnorm": config.clip_norm,
    }
    if (config.trunk_rate, config.trunk_after) == (1.0, 0):
        return keras.optimizers.Adam(**options)
    layers = network.layers if network else []
    trunk = next((layer for layer in layers if layer.name == "trunk"), None)
    if trunk is None:
        raise ConfigError(
            "training.trunk_rate, training.trunk_after: this model has no trunk; set them to 1 and 0, or choose a "
            "network on a trunk."
        )
    return StagedAdam(trunk.trainable_variables, config.trunk_rate, config.trunk_after, **options)


class StagedAdam(keras.optimizers.Adam):
    """Adam with a lower rate for some weights, which may also begin to learn later than the others.

    Args:
        slow: These weights.
        factor: Factor of their learning rate.
        after: Steps in which they stay as they are.
        options: Those of Adam.
    """

    def __init__(self, slow: Sequence[keras.Variable], factor: float, after: int, **options: Any) -> None:
        super().__init__(**options)
        self._slow = {id(variable) for variable in slow}
        self._places: set[int] = set()
        self._factor, self._after = factor, after

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state for all weights."""
        super().build(variables)
        self._places = {place for place, variable in enumerate(variables) if id(variable) in self._slow}

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one weight."""
        if self._get_variable_index(variable) in self._places:
            learns = keras.ops.cast(self.iterations >= self._after, learning_rate.dtype)
            learning_rate = learning_rate * self._factor * learns
        super().update_step(gradient, variable, learning_rate)


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
