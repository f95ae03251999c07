import keras
import numpy as np
import pytest
import tensorflow as tf

from nucseg.models.stardist.convolutions import Conv2D, convolve_together


@pytest.mark.parametrize("shape", [(1, 1), (3, 5)])
def test_it_is_the_convolution_of_the_enlarged_features(shape):
    """At the borders too, where both pad with zeros, and with Keras's weights; so are its gradients."""
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    coarse = generator.normal(size=(2, *shape, 3)).astype(np.float32)
    finer = [generator.normal(size=(2, 2 * shape[0], 2 * shape[1], n)).astype(np.float32) for n in (2, 1)]
    settings = {"padding": "same", "activation": "relu", "bias_initializer": "random_normal"}
    usual, quick = keras.layers.Conv2D(5, 3, **settings), Conv2D(5, 3, **settings)
    enlarged = coarse.repeat(2, axis=1).repeat(2, axis=2)
    joined = np.concatenate([enlarged, *finer], axis=-1)
    quick.build([each.shape for each in (coarse, *finer)])
    usual.build(joined.shape)
    quick.set_weights(usual.get_weights())
    expected = usual(joined)
    assert 0 < np.count_nonzero(expected) < np.size(expected)
    assert (
        quick([coarse, *finer]).shape
        == expected.shape
        == quick.compute_output_shape([each.shape for each in (coarse, *finer)])
    )
    np.testing.assert_allclose(quick([coarse, *finer]), expected, atol=1e-5)

    def gradients(layer, inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(inputs) ** 2)
        return tape.gradient(loss, [each.value for each in layer.trainable_variables])

    for found, wanted in zip(gradients(quick, [coarse, *finer]), gradients(usual, joined), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_convolutions_together_are_those_alone():
    keras.utils.set_random_seed(0)
    features = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    layers = [
        keras.layers.Conv2D(filters, 1, activation=activation, bias_initializer="random_normal")
        for filters, activation in ((1, "sigmoid"), (2, None), (5, "tanh"))
    ]
    expected = [layer(features) for layer in layers]
    for each, other in zip(convolve_together(layers, features), expected, strict=True):
        np.testing.assert_allclose(each, other, atol=1e-6)
