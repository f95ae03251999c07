import keras
import numpy as np
import pytest
from stardist.models import Config2D, StarDist2D

from nucseg.models.stardist.foreground import add_foreground_head


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_the_head_is_a_map_at_the_resolution_of_the_image(grid):
    config = Config2D(n_rays=8, grid=(grid, grid), unet_n_depth=1, unet_n_filter_base=4, net_conv_after_unet=8)
    original = StarDist2D(config, basedir=None).keras_model
    network = add_foreground_head(original, grid, 6)
    image = np.random.default_rng(0).random((2, 32, 48, 1), np.float32)
    probability, distances, foreground = (output.numpy() for output in network(image))
    assert foreground.shape == (2, 32, 48, 1)
    assert 0 < foreground.min() < foreground.max() < 1
    assert network.get_layer("foreground_features").output.shape[-1] == 6
    # The other two stay what they were, with the very same weights.
    for found, expected in zip((probability, distances), original(image), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert {id(weight) for weight in original.weights} < {id(weight) for weight in network.weights}


def test_the_head_learns_what_the_grid_is_too_coarse_for():
    """Stripes of one pixel, on a grid of 4."""
    keras.utils.set_random_seed(0)
    config = Config2D(n_rays=8, grid=(4, 4), unet_n_depth=1, unet_n_filter_base=4, net_conv_after_unet=8)
    network = add_foreground_head(StarDist2D(config, basedir=None).keras_model, 4, 6)
    stripes = np.zeros((1, 32, 32, 1), np.float32)
    stripes[:, :, ::2] = 1
    head = keras.Model(network.inputs, network.outputs[-1])
    head.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    head.fit(stripes, stripes, epochs=60, verbose=0)
    np.testing.assert_array_equal(head(stripes).numpy() > 0.5, stripes > 0.5)
