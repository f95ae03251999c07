import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nucseg.images import source as source_module
from nucseg.images.source import array_source
from nucseg.images.survey import survey

NOTE = "looks like a label image or a mask: each of its areas has one value."


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, bool])
@pytest.mark.parametrize("as_stored", [lambda labels: labels, lambda labels: np.repeat(labels[..., None], 3, 2)])
def test_labels_and_masks_are_noted(monkeypatch, draw_nuclei, kind, as_stored):
    monkeypatch.setattr(source_module, "_BAND_PIXELS", 1500)
    labels = as_stored(draw_nuclei((144, 160), 24, seed=5)[1].astype(kind))
    assert survey(array_source(labels)).notes == (NOTE,)


@pytest.mark.parametrize("levels", [255, 20, 4])
def test_images_are_not(draw_nuclei, levels):
    image = draw_nuclei((144, 160), 24, seed=5)[0].astype(float)
    noisy = gaussian_filter(image / image.max(), 1) + np.random.default_rng(0).normal(0, 0.1, image.shape)
    coarse = np.rint(levels * noisy.clip(0, 1)).astype(np.uint8)
    black = np.where(coarse > levels / 3, coarse, 0)  # its background was subtracted
    single = np.zeros_like(coarse)
    single[40, 50] = 200
    for each in (coarse, black, single, coarse.astype(np.float32), np.zeros((1, 1), np.uint8), coarse[:, :1]):
        assert NOTE not in survey(array_source(each)).notes
