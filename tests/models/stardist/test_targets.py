"""What StarDist learns from a patch."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from stardist.models import StarDistData2D

from nucseg.models.precision import use_precision
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.model import StarDist

SMALL = {"n_rays": 16, "unet_n_depth": 2, "unet_n_filter_base": 4, "net_conv_after_unet": 8}


@pytest.fixture(autouse=True)
def _float32():
    use_precision("float32")


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_targets_are_those_of_the_package(draw_nuclei, grid):
    picture, labels = draw_nuclei((64, 96), 12, seed=3, gap=0)
    picture = picture.astype(np.float32)
    model = StarDist(StarDistConfig(in_channels=1, grid=grid, **SMALL))
    x, (probability, distances, foreground) = model.targets(picture[..., None], labels)
    np.testing.assert_array_equal(foreground, (labels > 0)[..., None])
    data = StarDistData2D(
        [picture], [labels], batch_size=1, n_rays=16, length=1, patch_size=(64, 96), grid=(grid, grid)
    )
    (xs,), (probabilities, distances_and_weights) = data[0]
    np.testing.assert_array_equal(x, xs[0])
    np.testing.assert_array_equal(probability, probabilities[0])
    np.testing.assert_allclose(distances, distances_and_weights[0], atol=2e-5)
    assert {target.dtype for target in (probability, distances, foreground)} == {np.dtype(np.float32)}
    plain = StarDist(StarDistConfig(in_channels=1, grid=grid, refine_radius=0, **SMALL))
    for target, expected in zip(plain.targets(picture[..., None], labels)[1], (probability, distances), strict=True):
        np.testing.assert_array_equal(target, expected)


def test_targets_do_not_depend_on_the_numbers(small_stardist, draw_nuclei):
    picture, labels = draw_nuclei((64, 64), 8, seed=4)
    numbers = np.array([0, 70_000, 3, 65_536, 131_072, 9, 200_000, 1, 2**30], np.int32)
    for expected, found in zip(
        small_stardist.targets(picture[..., None], labels)[1],
        small_stardist.targets(picture[..., None], numbers[labels])[1],
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("label", [0, 7])
@pytest.mark.filterwarnings("ignore:EDT of constant")
def test_targets_of_a_patch_without_borders(small_stardist, label):
    _, (probability, distances, foreground) = small_stardist.targets(
        np.zeros((32, 32, 1), np.float32), np.full((32, 32), label, np.int32)
    )
    assert (probability > 0).all() == (distances[..., :-1] > 0).all() == foreground.all() == bool(label)


def test_targets_from_several_threads(small_stardist, draw_nuclei):
    patches = [draw_nuclei((64, 64), 5, seed=seed) for seed in range(16)]

    def make(patch):
        return small_stardist.targets(patch[0][..., None], patch[1])[1]

    with ThreadPoolExecutor(4) as pool:
        for alone, together in zip(map(make, patches), pool.map(make, patches), strict=True):
            np.testing.assert_array_equal(together[1], alone[1])
