import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from nucseg.models.deeplab.config import DeepLabConfig
from nucseg.models.deeplab.network import build_network, halo_of
from nucseg.models.precision import use_precision

SMALL = {"classes": ("background", "cat", "dog"), "pyramid_filters": 8, "decoder_filters": 8}


@pytest.fixture(autouse=True)
def _float32():
    use_precision("float32")


@pytest.mark.parametrize("pooling", [False, True])
@pytest.mark.parametrize("trunk", ["mobile", pytest.param("full", marks=pytest.mark.slow)])
def test_shapes_and_pooling(trunk, pooling):
    """With pooling, every pixel depends on the whole image; without it, those in the middle of a long one do not."""
    keras.utils.set_random_seed(0)
    config = DeepLabConfig(**SMALL, trunk=trunk, pooling=pooling)
    network = build_network(config)
    halo = halo_of(config)
    image = np.random.default_rng(0).random((1, 32, 2 * halo + 64, 3), np.float32)
    other = image.copy()
    other[:, :, :16] = 0
    one, two = (network(each).numpy() for each in (image, other))
    assert one.shape == (1, 32, 2 * halo + 64, 3)
    assert np.array_equal(one[:, :, halo + 16 :], two[:, :, halo + 16 :]) != pooling
    assert not np.array_equal(one, two)


def test_the_halo_is_not_far_too_large():
    """All weights are averages, of an image that becomes 0, so that every path counts and no unit saturates."""
    config = DeepLabConfig(**SMALL)
    network = build_network(config)
    for weight in network.weights:
        inputs = weight.shape[:2] if weight.shape[-1] == 1 else weight.shape[:-1]  # of a depthwise convolution
        weight.assign(np.full(weight.shape, 1 / np.prod(inputs) if len(weight.shape) > 1 else 0))
    halo = halo_of(config)
    blank = np.zeros((1, 32, 2 * halo + 64, 3), np.float32)
    reaches = []
    for middle in (halo + 32, halo + 47):
        changed = blank.copy()
        changed[0, :, middle] = 20
        columns = np.flatnonzero((network(changed) != network(blank)).numpy().any((0, 1, 3)))
        reaches.append(max(middle - columns.min(), columns.max() - middle))
    assert halo - 48 <= max(reaches) <= halo


_JAX = """
import sys
import keras, numpy as np
from nucseg.models.deeplab.config import DeepLabConfig
from nucseg.models.deeplab.network import build_network
assert keras.backend.backend() == "jax" and "tensorflow" not in sys.modules
folder = sys.argv[1]
network = build_network(DeepLabConfig.model_validate_json(open(f"{folder}/config.json").read()))
network.load_weights(f"{folder}/network.weights.h5")
np.save(f"{folder}/jax.npy", network(np.load(f"{folder}/given.npy")))
"""


@pytest.mark.slow
def test_tensorflow_and_jax_agree(tmp_path):
    config = DeepLabConfig(**SMALL, pooling=True)
    network = build_network(config)
    images = np.random.default_rng(0).random((1, 48, 64, 3), np.float32)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    network.save_weights(tmp_path / "network.weights.h5")
    np.save(tmp_path / "given.npy", images)
    # Everything is compiled and run once: code that is compiled quickly, not code that runs quickly.
    flags = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    subprocess.run(
        [sys.executable, "-c", _JAX, str(tmp_path)],
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"} | flags,
        cwd=Path(__file__).parents[3],
        check=True,
        timeout=600,
    )
    np.testing.assert_allclose(np.load(tmp_path / "jax.npy"), network(images), atol=1e-4)
