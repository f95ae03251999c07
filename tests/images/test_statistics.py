import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images import source as source_module
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.source import array_source, sample_windows
from nucseg.images.statistics import range_of_bands
from nucseg.images.transforms import Normalize, ToGrayscale

floats = st.floats(-1e6, 1e6, width=32)


@given(arrays(np.float32, st.integers(1, 60), elements=floats), st.floats(0, 49), st.floats(51, 100))
def test_percentiles_of_floats_are_those_of_numpy(values, low, high):
    found = range_of_bands(lambda: np.array_split(values, 3), (low, high))
    expected = np.percentile(values.astype(np.float64), (low, high))
    assert found[:2] == pytest.approx(expected, rel=1e-6, abs=1e-30)
    assert found[2:] == (values.min(), values.max(), 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
@pytest.mark.parametrize("transforms", [(Normalize(),), (Normalize(axis="channel"),), (ToGrayscale(), Normalize()), ()])
def test_streaming_finds_the_statistics_of_the_whole_image(monkeypatch, dtype, channels, transforms):
    monkeypatch.setattr(source_module, "_BAND_PIXELS", 200)
    image = (np.random.default_rng(0).gamma(2, 300, (61, 37, *channels)) + 7).astype(dtype)
    preprocessor = Preprocessor(transforms, 3)
    whole, streamed = preprocessor.fit(image), preprocessor.fit_source(array_source(image))
    assert streamed.source_channels == whole.source_channels
    np.testing.assert_array_equal(streamed.low, whole.low)
    np.testing.assert_array_equal(streamed.span, whole.span)


def test_equal_channels_are_grey_only_if_they_are_everywhere(monkeypatch):
    monkeypatch.setattr(source_module, "_BAND_PIXELS", 50)
    image = np.repeat(np.arange(200, dtype=np.uint8).reshape(20, 10, 1), 3, axis=2)
    preprocessor = Preprocessor((Normalize(),), 1)
    assert preprocessor.fit_source(array_source(image)).source_channels == 1
    image[-1, -1, 0] = 0
    assert preprocessor.fit_source(array_source(image)).source_channels == 3


def test_a_pixel_that_is_no_number_is_found_while_streaming():
    image = np.zeros((20, 10), np.float32)
    source = array_source(image, "slide")
    image[-1, -1] = np.nan
    with pytest.raises(InputError, match=r"slide.*NaN"):
        Preprocessor((), 1).fit_source(source)


@pytest.mark.parametrize("shape", [(1, 1), (50, 3000), (5000, 4100)])
def test_sample_windows_are_the_ones_with_contrast(shape):
    image = np.zeros(shape, np.uint8)
    image[-40:, -40:] = np.arange(min(40, shape[1]))
    read = []
    source = source_module.ImageSource("a", shape, image.dtype, lambda w: read.append(w) or image[w.slices])
    windows = list(sample_windows(source, n=2, side=1024))
    assert 1 <= len(windows) <= 2
    assert all(window.size <= 1024 * 1024 for window in windows)
    assert Window.whole(shape) not in read or max(shape) <= 1024


@pytest.mark.parametrize(
    "dtype, value",
    [
        *[(np.uint8, 255), (np.uint16, 65535), (np.uint16, 12000)],
        *[(np.float32, 255), (np.float32, -9999), (np.float32, -3e38)],
    ],
)
def test_a_scale_bar_does_not_set_the_range(dtype, value):
    image = np.random.default_rng(0).integers(20, 80, (200, 200)).astype(dtype)
    alone = range_of_bands(lambda: [image], (1, 99.8))
    image[180:186, 80:180] = value
    marked = range_of_bands(lambda: np.array_split(image, 7), (1, 99.8))

    assert marked.marked == 600
    assert abs(marked.low - alone.low) <= 1
    assert abs(marked.high - alone.high) <= 1
    assert marked.largest == 79


def test_a_dark_bar_on_a_bright_image_does_not_set_the_range():
    image = np.random.default_rng(0).integers(150, 250, (200, 200)).astype(np.uint8)
    image[180:190, 80:180] = 0
    found = range_of_bands(lambda: [image], (1, 99.8))

    assert found.marked == 1000
    assert found.low >= 150


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_is_no_annotation_counts(dtype):
    rng = np.random.default_rng(0)
    noise = rng.integers(20, 80, (200, 200)).astype(np.uint8)
    saturated = noise.copy()
    saturated[50:60, 50:80] = np.linspace(80, 255, 30).astype(np.uint8)  # light rises to what saturates
    saturated[60:70, 50:80] = 255
    hot = noise.copy()
    hot[:8, :7] = 255  # too few
    large = noise.copy()
    large[:60] = 255  # a part of the picture
    near = noise.copy()
    near[180:186, 80:180] = 100  # no brighter than a bright nucleus
    mask = (noise > 78).astype(np.uint8) * 255
    for each in (saturated, hot, large, near, mask):
        image = each.astype(dtype)
        found = range_of_bands(lambda image=image: [image], (1, 99.8))
        assert found.marked == 0
        np.testing.assert_allclose(found[:2], np.percentile(image, (1, 99.8)))
