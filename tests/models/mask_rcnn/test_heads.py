import keras
import numpy as np
import pytest
from keras import ops

from nucseg.models.mask_rcnn.heads import Conv2DTranspose, build_mask_head


@pytest.mark.parametrize("side", [2, 3])
def test_a_transposed_convolution_in_blocks_is_that_of_keras(side):
    options = {"filters": 5, "kernel_size": side, "strides": side, "activation": "relu"}
    ours, theirs = Conv2DTranspose(**options), keras.layers.Conv2DTranspose(**options)
    given = np.random.default_rng(0).normal(size=(3, 4, 6, 7)).astype(np.float32)
    ours.build(given.shape)
    theirs.build(given.shape)
    weights = [np.random.default_rng(1).normal(size=weight.shape) for weight in theirs.get_weights()]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    blocks = ops.convert_to_numpy(ours(given))
    assert blocks.shape == (3, 4, 6 * side**2, 5)
    image = blocks.reshape(3, 4, 6, side, side, 5).transpose(0, 1, 3, 2, 4, 5).reshape(3, 4 * side, 6 * side, 5)
    np.testing.assert_allclose(image, ops.convert_to_numpy(theirs(given)), rtol=1e-5, atol=1e-5)


def test_the_mask_head_is_that_of_the_paper_and_reads_its_weights(tiny, tmp_path):
    """Figure 4 of He et al. 2017 (right), of Keras's layers alone."""
    size, channels = tiny.mask_size, tiny.mask_channels
    features = x = keras.Input((size, size, tiny.pyramid_channels))
    for _ in range(tiny.mask_convolutions):
        x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
    x = keras.layers.Conv2DTranspose(channels, 2, strides=2, activation="relu")(x)
    plain = keras.Model(features, keras.layers.Conv2D(1, 1)(x))
    plain.set_weights([np.random.default_rng(2).normal(size=weight.shape) / 4 for weight in plain.get_weights()])
    plain.save_weights(tmp_path / "plain.weights.h5")
    ours = build_mask_head(tiny)
    ours.load_weights(tmp_path / "plain.weights.h5")
    given = np.random.default_rng(3).normal(size=(4, size, size, tiny.pyramid_channels)).astype(np.float32)
    expected = ops.convert_to_numpy(plain(given))[..., 0]
    np.testing.assert_allclose(ops.convert_to_numpy(ours(given)), expected, rtol=1e-4, atol=1e-4)
