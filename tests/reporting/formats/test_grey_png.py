import imagecodecs
import numpy as np
import pytest

from nucseg.reporting.formats import grey_png
from nucseg.reporting.formats.grey_png import write_grey_png


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (9, 40)])
def test_what_is_written_is_read_again(tmp_path, monkeypatch, shape):
    monkeypatch.setattr(grey_png, "_BAND", 4)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    seen = []

    def read(window):
        seen.append(window.shape)
        return image[window.slices]

    write_grey_png(tmp_path / "a.png", shape, read)
    np.testing.assert_array_equal(imagecodecs.png_decode((tmp_path / "a.png").read_bytes()), image)
    assert max(height for height, _ in seen) <= 4
