import keras
import numpy as np
import pytest

from nucseg.core.errors import ConfigError
from nucseg.training.config import TrainingConfig
from nucseg.training.optimizer import make_optimizer


def rate(optimizer, step):
    return float(optimizer._learning_rate(step))


def test_cosine_warms_up_and_falls_to_zero():
    config = TrainingConfig(learning_rate=0.1, epochs=10, steps_per_epoch=100, warmup_steps=50)
    optimizer = make_optimizer(config)
    assert rate(optimizer, 0) == 0
    assert rate(optimizer, 25) == pytest.approx(0.05)
    assert rate(optimizer, 50) == pytest.approx(0.1)
    assert rate(optimizer, 525) == pytest.approx(0.05)
    assert rate(optimizer, 1000) == pytest.approx(0, abs=1e-9)


def test_a_short_training_warms_up_for_a_tenth():
    optimizer = make_optimizer(TrainingConfig(learning_rate=0.1, epochs=1, steps_per_epoch=100, warmup_steps=500))
    assert rate(optimizer, 10) == pytest.approx(0.1)


def test_without_warmup_it_begins_at_the_top():
    optimizer = make_optimizer(TrainingConfig(learning_rate=0.1, epochs=1, steps_per_epoch=100, warmup_steps=0))
    assert rate(optimizer, 0) == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_constant_rate(schedule):
    optimizer = make_optimizer(TrainingConfig(schedule=schedule, learning_rate=0.2, weight_decay=0.01, clip_norm=1.0))
    assert float(optimizer.learning_rate) == pytest.approx(0.2)
    assert (optimizer.weight_decay, optimizer.global_clipnorm) == (0.01, 1.0)


def test_cycles_restart_at_a_lower_rate():
    one = make_optimizer(TrainingConfig(learning_rate=0.1, epochs=10, steps_per_epoch=100, warmup_steps=50))
    three = make_optimizer(
        TrainingConfig(learning_rate=0.1, epochs=30, steps_per_epoch=100, warmup_steps=50, cycles=3, cycle_decay=0.5)
    )
    for step in (0, 10, 49, 50, 51, 525, 999):
        for cycle in range(3):
            assert rate(three, 1000 * cycle + step) == pytest.approx(rate(one, step) * 0.5**cycle, abs=1e-9)


def test_fewer_epochs_than_cycles_are_one_cycle_each():
    optimizer = make_optimizer(
        TrainingConfig(learning_rate=0.1, epochs=1, steps_per_epoch=100, warmup_steps=0, cycles=2)
    )
    assert rate(optimizer, 50) == pytest.approx(0.05)


def network():
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    trunk = keras.Model(given, keras.layers.Dense(3, name="deep")(given), name="trunk")
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(1, name="head")(trunk(inputs)))


def kernels(model):
    return [layer.get_weights()[0] for layer in (model.get_layer("trunk").get_layer("deep"), model.get_layer("head"))]


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_trunk_learns_later_and_less(run_eagerly):
    """Adam's first steps are as long as the rate, whatever the gradient."""
    config = TrainingConfig(
        learning_rate=0.1, schedule="constant", trunk_rate=0.1, trunk_after=2, steps_per_epoch=1, epochs=1
    )
    model = network()
    model.compile(make_optimizer(config, model), loss="mse", run_eagerly=run_eagerly)
    x, y = np.random.default_rng(0).random((8, 4)), np.full((8, 1), 100.0)
    moved = []
    for _ in range(3):
        before = kernels(model)
        model.train_on_batch(x, y)
        after = kernels(model)
        moved.append([float(np.abs(one - two).mean()) for one, two in zip(before, after, strict=True)])
    trunk, head = zip(*moved, strict=True)
    assert trunk[:2] == (0, 0)
    assert trunk[2] == pytest.approx(0.01, rel=0.05)
    assert head == pytest.approx((0.1, 0.1, 0.1), rel=0.05)


def test_a_rate_for_a_trunk_needs_a_trunk():
    given = keras.Input((4,))
    with pytest.raises(ConfigError, match="this model has no trunk"):
        make_optimizer(TrainingConfig(trunk_rate=0.1), keras.Model(given, keras.layers.Dense(1)(given)))
