import keras
import numpy as np
import pytest

from nucseg.models.stardist.convolutions import convolve_enlarged, convolve_in_pairs


@pytest.mark.parametrize("shape", [(1, 1), (3, 5)])
def test_it_is_the_convolution_of_the_enlarged_features(shape):
    """At the borders too, where both pad with zeros."""
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    coarse = generator.normal(size=(2, *shape, 3)).astype(np.float32)
    finer = [generator.normal(size=(2, 2 * shape[0], 2 * shape[1], n)).astype(np.float32) for n in (2, 1)]
    convolution = keras.layers.Conv2D(5, 3, padding="same", activation="relu", bias_initializer="random_normal")
    enlarged = coarse.repeat(2, axis=1).repeat(2, axis=2)
    expected = convolution(np.concatenate([enlarged, *finer], axis=-1))
    assert 0 < np.count_nonzero(expected) < np.size(expected)
    np.testing.assert_allclose(convolve_enlarged(convolution, coarse, finer), expected, atol=1e-5)


def test_pairs_are_computed_as_one():
    keras.utils.set_random_seed(0)
    features = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    random = {"bias_initializer": "random_normal"}
    pairs = [
        (
            keras.layers.Conv2D(wide, 3, padding="same", activation="relu", **random),
            keras.layers.Conv2D(narrow, 1, activation=activation, **random),
        )
        for wide, narrow, activation in ((4, 1, "sigmoid"), (3, 2, None), (2, 5, "tanh"))
    ]
    before = [first(features) for first, _ in pairs]
    expected = [second(each) for each, (_, second) in zip(before, pairs, strict=True)]
    wide, *found = convolve_in_pairs(pairs, features)
    np.testing.assert_allclose(wide, np.concatenate(before, axis=-1), atol=1e-6)
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(each, other, atol=1e-6)
