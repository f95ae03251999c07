from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from nucseg.datasets.modality import modality_of


@pytest.mark.parametrize("modality", ["fluorescence", "brightfield", "histology"])
def test_tells_the_modality(modality: str, draw_nuclei: Callable[..., tuple[NDArray, NDArray]]) -> None:
    image, _ = draw_nuclei((64, 64), 4, modality=modality)
    rgb = image if image.ndim == 3 else np.dstack([image] * 3)
    rgba = np.dstack([rgb, np.full(image.shape[:2], 255, np.uint8)])

    assert modality_of(image) == modality_of(rgb) == modality_of(rgba) == modality


def test_knows_the_range_of_16_bit() -> None:
    assert modality_of(np.full((8, 8), 300, np.uint16)) == "fluorescence"
    assert modality_of(np.full((8, 8), 60_000, np.uint16)) == "brightfield"
