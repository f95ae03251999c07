"""Adam and the schedules of its learning rate."""

import keras

from nucseg.training.config import TrainingConfig


def make_optimizer(config: TrainingConfig) -> keras.Optimizer:
    """Make the optimizer; `plateau` begins at a constant rate, which a callback then lowers."""
    return keras.optimizers.Adam(
        learning_rate=_learning_rate(config),
        weight_decay=config.weight_decay or None,
        global_clipnorm=config.clip_norm,
    )


def _learning_rate(config: TrainingConfig) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if config.schedule != "cosine":
        return config.learning_rate
    steps = config.epochs * config.steps_per_epoch
    # A short training (a demonstration) warms up for a tenth of its steps at most.
    warmup = min(config.warmup_steps, steps // 10)
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=config.learning_rate, warmup_steps=warmup
    )
