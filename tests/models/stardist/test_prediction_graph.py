import keras
import numpy as np
import pytest

from nucseg.core.window import Window
from nucseg.models.precision import use_precision
from nucseg.models.stardist import prediction_graph
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.model import StarDist

SMALL = {"in_channels": 1, "n_rays": 8, "unet_n_filter_base": 4, "net_conv_after_unet": 8, "refine_filters": 4}


@pytest.mark.parametrize(
    "changes",
    [
        {"grid": 1, "unet_n_depth": 1},
        {"grid": 2, "unet_n_depth": 2},
        {"grid": 4, "unet_n_depth": 1},
        {"grid": 2, "unet_n_depth": 1, "net_conv_after_unet": 0},
        {"grid": 2, "unet_n_depth": 1, "refine_radius": 0},
    ],
)
@pytest.mark.parametrize("band", [2**20, 1])
@pytest.mark.parametrize("sides", [(0, 0, 48, 64), (16, 8, 32, 40), (8, 16, 47, 61)])
def test_what_it_gives_is_cut_out_of_the_maps_of_the_network(changes, sides, band, monkeypatch):
    for name in ("_BAND", "_EARLY_BAND"):
        monkeypatch.setattr(prediction_graph, name, band)
    use_precision("float32")
    keras.utils.set_random_seed(0)
    model = StarDist(StarDistConfig(**{**SMALL, **changes}))
    check(model, np.random.default_rng(1).random((2, 48, 64, 1), np.float32), sides)


@pytest.mark.parametrize(
    "changes", [{}, {"refine_radius": 0}, {"net_conv_after_unet": 0}, {"grid": 1}, {"grid": 1, "refine_radius": 0}]
)
@pytest.mark.parametrize("band", [2**20, 2 * 32 * 112])
def test_the_same_on_a_trunk(changes, band, monkeypatch):
    """Windows begin at multiples of 16; the decoder sees 32 pixels around them, in bands of 32 rows or all at once."""
    for name in ("_BAND", "_EARLY_BAND"):
        monkeypatch.setattr(prediction_graph, name, band)
    use_precision("float32")
    keras.utils.set_random_seed(0)
    config = {**SMALL, "backbone": "efficientnet_lite0", "decoder_filters": (8, 8, 8, 8)}
    model = StarDist(StarDistConfig(**{**config, **changes}))
    images = np.random.default_rng(1).random((2, 96, 112, 1), np.float32)
    for sides in [(0, 0, 96, 112), (48, 16, 64, 32), (16, 64, 95, 109)]:
        check(model, images, sides)


def check(model, images, sides):
    probabilities, distances, *foreground = (np.asarray(maps) for maps in model.network(images))
    top, left, bottom, right = sides
    grid = model.config.grid
    cells = np.s_[:, top // grid : -(-bottom // grid), left // grid : -(-right // grid)]
    lowest = np.float32(np.median(probabilities))

    found = model._run(images, Window(*sides), float(lowest))
    places, scores, rays, *inside = (np.asarray(each) for each in found)
    expected = probabilities[cells][..., 0]
    # Rounding may put a cell on the other side of the threshold.
    sure = np.argwhere(expected >= lowest + 1e-5)
    assert {tuple(place) for place in sure} <= {tuple(place) for place in places}
    assert len(places) <= np.count_nonzero(expected >= lowest - 1e-5)
    np.testing.assert_allclose(scores, expected[tuple(places.T)], atol=1e-5)
    np.testing.assert_allclose(rays, distances[cells][tuple(places.T)], atol=1e-4)
    assert len(inside) == len(foreground) == (model.config.refine_radius > 0)
    for maps, given in zip(foreground, inside, strict=True):
        assert given.shape == (len(images), bottom - top, right - left)
        assert given.dtype == np.uint8
        np.testing.assert_allclose(given, np.minimum(256 * maps[:, top:bottom, left:right, 0], 255), atol=1 + 1e-2)
