import numpy as np
import pytest
from scipy import ndimage


@pytest.mark.parametrize("modality", ["fluorescence", "brightfield", "histology"])
def test_drawn_nuclei_are_as_many_as_asked_whole_and_apart(draw_nuclei, modality):
    image, labels = draw_nuclei((96, 128), 10, 3, modality=modality)
    assert image.dtype == np.uint8
    assert labels.dtype == np.int32
    assert image.shape[:2] == labels.shape == (96, 128)
    assert np.unique(labels).tolist() == list(range(11))
    # Apart by the gap: as many parts (8-connected) as nuclei.
    assert ndimage.label(labels, np.ones((3, 3)))[1] == 10
    assert not labels[[0, -1]].any()
    grey = image.mean(axis=2) if image.ndim == 3 else image
    bright_nuclei = grey[labels > 0].mean() > grey[labels == 0].mean()
    assert bright_nuclei == (modality == "fluorescence")


def test_the_same_seed_draws_the_same_picture(draw_nuclei):
    first, second, other = (draw_nuclei((64, 64), 4, seed) for seed in (1, 1, 2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[1], other[1])


def test_too_many_nuclei_are_refused(draw_nuclei):
    with pytest.raises(ValueError, match="do not fit"):
        draw_nuclei((32, 32), 50)
