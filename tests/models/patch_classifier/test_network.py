import numpy as np
import pytest

from nucseg.models.backbones.efficientnet_lite import STRIDES
from nucseg.models.patch_classifier.config import PatchClassifierConfig
from nucseg.models.patch_classifier.network import LITE_STRIDE, build_network


def test_the_small_network_is_that_of_deep_histopath():
    assert build_network(PatchClassifierConfig(network="small")).count_params() == 69_129


@pytest.mark.parametrize("network", ["small", "lite", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_a_patch_has_one_logit(network):
    built = build_network(PatchClassifierConfig(network=network, patch_size=32))
    patches = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    logits = np.asarray(built(patches, training=False))
    assert logits.shape == (3, 1)
    alone = np.asarray(built(patches[1:2], training=False))
    np.testing.assert_allclose(logits[1:2], alone, rtol=1e-3, atol=1e-4)
    assert np.ptp(logits) > 0


def test_the_lite_network_fits_into_the_shipped_size():
    assert LITE_STRIDE in STRIDES
    assert 4 * build_network(PatchClassifierConfig(network="lite")).count_params() < 4 * 2**20
