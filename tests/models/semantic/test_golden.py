"""Networks whose weights follow from a formula give the numbers that they gave when they were written.

A change of a layer, of its order or of its input makes weights of an earlier version wrong; it shows here.
"""

import numpy as np
import pytest

from nucseg.models.deeplab.config import DeepLabConfig
from nucseg.models.deeplab.network import build_network as deeplab
from nucseg.models.precision import use_precision
from nucseg.models.unet.config import UNetConfig
from nucseg.models.unet.network import build_network as unet

CLASSES = ("background", "a", "b")
NETWORKS = {
    "unet": lambda: unet(UNetConfig(in_channels=1, classes=CLASSES, decoder_filters=(8, 8, 8, 8))),
    "deeplab": lambda: deeplab(DeepLabConfig(classes=CLASSES, pyramid_filters=8, decoder_filters=8)),
    "deeplab_pooled": lambda: deeplab(
        DeepLabConfig(classes=CLASSES, pyramid_filters=8, decoder_filters=8, pooling=True)
    ),
}
GOLDEN = {
    "unet": [
        0.110154,
        0.110953,
        -0.138745,
        -0.098828,
        0.166964,
        0.055803,
        0.111704,
        0.143808,
        -0.148762,
        -0.204032,
        -0.015103,
        0.207924,
    ],
    "deeplab": [
        -0.05193,
        -0.132668,
        0.086117,
        0.133639,
        -0.11891,
        -0.102998,
        0.088034,
        -0.153895,
        -0.048377,
        0.175954,
        -0.052066,
        -0.162537,
    ],
    "deeplab_pooled": [
        -0.167724,
        0.127981,
        0.134745,
        -0.163434,
        -0.089548,
        0.186509,
        -0.193926,
        -0.021325,
        0.199421,
        -0.100024,
        -0.185785,
        0.147899,
    ],
}


def logits(name):
    """Return some logits of a drawn image."""
    use_precision("float32")
    network = NETWORKS[name]()
    for number, weight in enumerate(network.weights):
        fan_in = max(np.prod(weight.shape[:-1]), 1)
        values = np.sin(1.7 * np.arange(np.prod(weight.shape)) + number).reshape(weight.shape)
        weight.assign(values * np.sqrt(2 / fan_in) if len(weight.shape) > 1 else 0.1 * values)
    rows, columns = np.mgrid[:32, :48] / 8
    image = (0.5 + 0.5 * np.sin(rows) * np.cos(columns)).astype(np.float32)[None, ..., None]
    found = network(np.repeat(image, network.input_shape[-1], -1)).numpy()[0]
    return found[[0, 5, 18, 31], [3, 40, 17, 47]].ravel()


@pytest.mark.parametrize("name", NETWORKS)
def test_logits(name):
    np.testing.assert_allclose(logits(name), GOLDEN[name], rtol=1e-3, atol=1e-5)
