import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from nucseg.models.precision import use_precision
from nucseg.models.unet.config import UNetConfig
from nucseg.models.unet.network import build_network, halo_of, stride_of

SMALL = {"in_channels": 1, "classes": ("background", "mark", "edge"), "decoder_filters": (8, 8, 8, 8)}


@pytest.fixture(autouse=True)
def _float32():
    use_precision("float32")


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return build_network(UNetConfig(**SMALL))


def test_the_logits_of_a_cell_lie_side_by_side(network):
    images = np.random.default_rng(0).random((2, 32, 48, 1), np.float32)
    cells = keras.Model(network.input, network.get_layer("logits").output)(images).numpy()
    found = network(images).numpy()
    assert found.shape == (2, 32, 48, 3)
    for row, column in np.ndindex(2, 2):
        first = 3 * (2 * row + column)
        np.testing.assert_array_equal(found[:, row::2, column::2], cells[..., first : first + 3])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="lite16"),
        pytest.param({"decoder_filters": (4,) * 5}, id="lite32", marks=pytest.mark.slow),
        pytest.param({"trunk": "resnext50"}, id="resnext16", marks=pytest.mark.slow),
        pytest.param({"trunk": "resnext50", "decoder_filters": (4,) * 5}, id="resnext32", marks=pytest.mark.slow),
    ],
)
def test_nothing_beyond_the_halo_changes_a_pixel(options):
    """All weights are averages, of an image that becomes 0, so that every path counts and no unit saturates."""
    config = UNetConfig(**SMALL | options)
    network = build_network(config)
    for weight in network.weights:
        if "normalization" in weight.path or "_bn/" in weight.path:
            weight.assign(np.full(weight.shape, float(weight.name in ("gamma", "moving_variance"))))
        else:
            inputs = weight.shape[:2] if weight.shape[-1] == 1 else weight.shape[:-1]  # of a depthwise convolution
            weight.assign(np.full(weight.shape, 1 / np.prod(inputs) if len(weight.shape) > 1 else 0))
    stride, halo = stride_of(config), halo_of(config)
    blank = np.zeros((1, stride, 2 * halo + 4 * stride, 1), np.float32)
    reaches = []
    for middle in (halo + 2 * stride, halo + 3 * stride - 1):
        changed = blank.copy()
        changed[0, :, middle] = 20
        columns = np.flatnonzero((network(changed) != network(blank)).numpy().any((0, 1, 3)))
        reaches.append(max(middle - columns.min(), columns.max() - middle))
    # No larger than needed: what is too large costs time.
    assert halo - 2 * stride <= max(reaches) <= halo
    assert stride == 2 ** len(config.decoder_filters)


_JAX = """
import sys
import keras, numpy as np
from nucseg.models.semantic.loss import CrossEntropyAndJaccard
from nucseg.models.unet.config import UNetConfig
from nucseg.models.unet.network import build_network
assert keras.backend.backend() == "jax"
assert not {"tensorflow", "stardist"} & set(sys.modules)
folder = sys.argv[1]
network = build_network(UNetConfig.model_validate_json(open(f"{folder}/config.json").read()))
network.load_weights(f"{folder}/network.weights.h5")
given = np.load(f"{folder}/given.npz")
logits = network(given["images"])
loss = CrossEntropyAndJaccard(0.5)(given["truth"], logits)
np.savez(f"{folder}/jax.npz", logits=logits, loss=loss)
network.compile(keras.optimizers.Adam(1e-3), loss=CrossEntropyAndJaccard(0.5))
network.fit(given["images"], given["truth"], verbose=0)
"""


@pytest.mark.slow
def test_tensorflow_and_jax_agree(network, tmp_path):
    from nucseg.models.semantic.loss import CrossEntropyAndJaccard

    rng = np.random.default_rng(0)
    images, truth = rng.random((2, 32, 32, 1), np.float32), rng.choice([0, 1, 2, 255], (2, 32, 32, 1))
    (tmp_path / "config.json").write_text(UNetConfig(**SMALL).model_dump_json())
    network.save_weights(tmp_path / "network.weights.h5")
    np.savez(tmp_path / "given.npz", images=images, truth=truth.astype(np.float32))
    # Everything is compiled and run once: code that is compiled quickly, not code that runs quickly.
    flags = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    subprocess.run(
        [sys.executable, "-c", _JAX, str(tmp_path)],
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"} | flags,
        cwd=Path(__file__).parents[3],
        check=True,
        timeout=600,
    )
    logits = network(images)
    with np.load(tmp_path / "jax.npz") as other:
        np.testing.assert_allclose(other["logits"], logits, atol=1e-4)
        np.testing.assert_allclose(other["loss"], CrossEntropyAndJaccard(0.5)(truth, logits), rtol=1e-4)
