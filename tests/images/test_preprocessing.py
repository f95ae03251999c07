import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nucseg.core.errors import ConfigError, InputError
from nucseg.images.channels import canonical_channels, to_rgb
from nucseg.images.geometry import resize_labels
from nucseg.images.intensity import to_unit_float
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.transforms import Normalize, Rescale, Standardize, ToGrayscale, ToRGB

TRANSFORMS = [
    (),
    (Normalize(),),
    (Normalize(axis="channel"),),
    (ToGrayscale(), Normalize()),
    (ToRGB(), Normalize(axis="channel")),
    (Normalize(pmin=5, pmax=90, min_range=0.2), ToGrayscale()),
]
DTYPES = [np.bool_, np.uint8, np.uint16, np.int16, np.int32, np.float16, np.float32, np.float64]


@st.composite
def images(draw, dtypes=DTYPES):
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    height, width = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    channels = draw(st.sampled_from([(), (1,), (3,), (4,)]))
    limit = {"b": 1, "f": 1000}.get(dtype.kind) or np.iinfo(dtype).max
    least = 0 if dtype.kind in "bu" else -limit
    return draw(arrays(dtype, (height, width, *channels), elements=st.integers(int(least), int(limit))))


def test_percentiles_by_hand():
    # Percentile 25 of 0..4 is 1 and percentile 75 is 3: x becomes (x - 1) / 2, unclipped.
    image = np.arange(5, dtype=np.uint8)[None]
    fitted = Preprocessor((Normalize(pmin=25, pmax=75),), 1).fit(image)
    assert fitted.image(image)[0, :, 0] == pytest.approx([-0.5, 0, 0.5, 1, 1.5])


def test_axis_image_takes_all_channels_together_and_axis_channel_each():
    image = np.zeros((1, 3, 3), np.uint8)
    image[0, :, 0], image[0, :, 1], image[0, :, 2] = (0, 10, 20), (0, 50, 100), (100, 150, 200)
    together = Preprocessor((Normalize(pmin=0, pmax=100),), 3).fit(image).image(image)
    assert together == pytest.approx(image / 200)
    each = Preprocessor((Normalize(pmin=0, pmax=100, axis="channel"),), 3).fit(image).image(image)
    assert each == pytest.approx(np.broadcast_to(np.array([0, 0.5, 1])[None, :, None], (1, 3, 3)))


def test_standardize_by_hand():
    image = np.array([[[255, 0, 51]]], np.uint8)
    standardize = Standardize(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 0.1))
    assert Preprocessor((standardize,), 3).fit(image).image(image) == pytest.approx(np.array([[[1, -1, 2]]]))
    grey = np.full((2, 3), 51, np.uint8)
    expected = np.broadcast_to([-0.6, -0.2, 2.0], (2, 3, 3))
    assert Preprocessor((standardize,), 3).fit(grey).image(grey) == pytest.approx(expected, abs=1e-6)
    # After the percentiles: 0 to 100 is 0 to 1.
    ramp = np.arange(101, dtype=np.uint16)[None]
    transforms = (Normalize(pmin=0, pmax=100), standardize)
    found = Preprocessor(transforms, 3).fit(ramp).image(ramp)
    assert found[0, 50] == pytest.approx([0, 1, 5], abs=1e-5)
    with pytest.raises(ConfigError, match="standardize needs a model of three channels"):
        Preprocessor(transforms, 1)


@given(images([np.uint8, np.uint16, np.int32, np.float32]), st.floats(0, 49), st.floats(51, 100))
def test_percentiles_are_those_of_numpy_over_all_pixels(image, pmin, pmax):
    fitted = Preprocessor((Normalize(pmin=pmin, pmax=pmax),), 1).fit(image)
    low, high = np.percentile(to_unit_float(canonical_channels(image)).astype(np.float64), (pmin, pmax))
    if high - low > 1e-5 * max(1, np.abs(to_unit_float(image)).max()):
        assert fitted.low == pytest.approx(low, rel=1e-5, abs=1e-6)
        assert fitted.span == pytest.approx(high - low, rel=1e-3)


@pytest.mark.parametrize("transforms", TRANSFORMS)
@pytest.mark.parametrize("in_channels", [1, 3])
def test_a_patch_is_the_crop_of_the_whole_exactly(transforms, in_channels):
    preprocessor = Preprocessor(transforms, in_channels)

    @given(images(), st.data())
    def check(image, data):
        rows, columns = (slice(*sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2)))) for n in image.shape[:2])
        fitted = preprocessor.fit(image)
        whole, patch = fitted.image(image), fitted.image(image[rows, columns])
        assert whole.dtype == np.float32
        assert whole.shape == (*image.shape[:2], in_channels)
        assert np.isfinite(whole).all()
        assert np.array_equal(patch, whole[rows, columns])
        # The augmenter hands on the patch in unit range: nothing changes by that.
        assert np.array_equal(fitted.image(to_unit_float(image[rows, columns])), patch)

    check()


def test_a_patch_with_equal_channels_of_an_rgb_image_stays_rgb():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image[:4] = 255
    fitted = Preprocessor((Normalize(axis="channel"),), 3).fit(image)
    assert np.array_equal(fitted.image(image[:4]), fitted.image(image)[:4])
    assert fitted.source_channels == 3


def test_equal_channels_and_alpha_do_not_matter(draw_nuclei):
    grey, _ = draw_nuclei((64, 64), 4, 0)
    for transforms in TRANSFORMS:
        for in_channels in (1, 3):
            preprocessor = Preprocessor(transforms, in_channels)
            expected = preprocessor.fit(grey).image(grey)
            for image in (grey[..., None], to_rgb(grey), np.dstack([to_rgb(grey), np.full_like(grey, 255)])):
                assert np.array_equal(preprocessor.fit(image).image(image), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("min_range", [0.0, 0.1])
def test_a_blank_image_gives_zeros(dtype, min_range):
    image = np.ones((9, 9), dtype)
    fitted = Preprocessor((Normalize(min_range=min_range),), 1).fit(image)
    assert not fitted.image(image).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_hot_pixel_on_a_blank_image_becomes_one(dtype):
    image = np.zeros((100, 100), dtype)
    image[3, 4] = 200
    normalized = Preprocessor((Normalize(),), 1).fit(image).image(image)
    assert normalized.max() == normalized[3, 4, 0] == pytest.approx(1)


def test_min_range_keeps_noise_small():
    image = np.random.default_rng(0).integers(100, 105, (50, 50), dtype=np.uint8)
    loud, quiet = (Preprocessor((Normalize(min_range=r),), 1).fit(image).image(image) for r in (0.0, 0.2))
    assert loud.max() == pytest.approx(1)
    assert quiet.max() == pytest.approx(4 / 255 / 0.2)


def test_transforms_are_applied_in_the_listed_order():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = np.arange(16).reshape(4, 4)
    image[..., 1] = 10 * np.arange(16).reshape(4, 4)
    before, after = (
        Preprocessor(transforms, 1).fit(image).image(image)
        for transforms in (
            (ToGrayscale(), Normalize(pmin=0, pmax=100)),
            (Normalize(pmin=0, pmax=100, axis="channel"), ToGrayscale()),
        )
    )
    assert before.max() == pytest.approx(1)
    # The blank blue channel stays 0, so the luminance of the normalised channels ends below 1.
    assert after.max() == pytest.approx(0.2125 + 0.7154)


def test_statistics_are_those_of_the_image_after_the_transforms_before():
    image = np.zeros((4, 4), np.uint8)
    image[::2, ::2] = 200
    normalize = Normalize(pmin=0, pmax=100)
    first, last = (
        Preprocessor(transforms, 1).fit(image).image(image)
        for transforms in ((Rescale(factor=0.5), normalize), (normalize, Rescale(factor=0.5)))
    )
    # Shrunk, each pixel is the mean of one bright and three dark ones: a blank image.
    assert not first.any()
    assert last == pytest.approx(np.full((2, 2, 1), 0.25))


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7, 3.0])
def test_rescaling_is_undone_in_the_answer(draw_nuclei, scale):
    image, labels = draw_nuclei((90, 75), 6, 2, radius=(6, 9))
    fitted = Preprocessor((Rescale(factor=scale), Normalize()), 1).fit(image)
    model_image, model_labels = fitted.image(image), fitted.labels(labels)
    assert fitted.scale == scale
    assert model_image.shape[:2] == model_labels.shape == (round(90 * scale), round(75 * scale))
    restored = resize_labels(model_labels, labels.shape)
    assert restored.shape == labels.shape
    assert restored.dtype == np.int32
    if scale >= 1:
        assert np.array_equal(restored, labels)
    else:
        assert (restored == labels).mean() > 0.95


@pytest.mark.parametrize("magnification, scale", [(10, 2.0), (20, 1.0), (63, 20 / 63), (None, 1.0)])
def test_a_magnification_to_come_to(magnification, scale):
    fitted = Preprocessor((Rescale(magnification=20),), 1).fit(np.zeros((8, 8), np.uint8), magnification)
    assert fitted.scale == pytest.approx(scale)


def test_a_factor_does_not_ask_for_the_magnification():
    assert Preprocessor((Rescale(factor=0.5),), 1).fit(np.zeros((8, 8), np.uint8), 63).scale == 0.5
    assert Preprocessor((Normalize(),), 1).fit(np.zeros((8, 8), np.uint8), 63).scale == 1.0


@pytest.mark.parametrize("magnification", [0, -20, float("nan")])
def test_an_impossible_magnification_is_refused(magnification):
    with pytest.raises(InputError, match="must be above 0"):
        Preprocessor((Rescale(magnification=20),), 1).fit(np.zeros((8, 8), np.uint8), magnification)


@pytest.mark.parametrize("image", [np.zeros((4, 5, 2)), np.zeros((0, 5)), np.full((4, 5), np.nan)])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(InputError):
        Preprocessor((Normalize(),), 1).fit(image)


def test_the_input_is_not_changed(draw_nuclei):
    image, _ = draw_nuclei((32, 32), 1, 0)
    for given_image in (image, to_unit_float(image)):
        before = given_image.copy()
        Preprocessor((Normalize(),), 1).fit(given_image).image(given_image)
        assert np.array_equal(given_image, before)


def test_a_scale_bar_is_reported_and_leaves_the_range(caplog):
    image = np.random.default_rng(0).integers(20, 80, (200, 200)).astype(np.uint8)
    alone = Preprocessor((Normalize(),), 1).fit(image)
    image[180:186, 80:180] = 255
    fitted = Preprocessor((Normalize(),), 1).fit(image)

    assert "600 pixels of one value far from all others" in fitted.notes[-1]
    np.testing.assert_allclose(fitted.span, alone.span, atol=2 / 255)
    assert alone.notes == ()


@pytest.mark.parametrize("value", [-3e38, -9999.0, 1e7, 3e38])
def test_single_pixels_far_off_change_no_others(value):
    image = np.random.default_rng(0).random((60, 60), np.float32)
    preprocessor = Preprocessor((Normalize(),), 1)
    alone = preprocessor.fit(image).image(image)
    image[30, 30:33] = value
    seen = preprocessor.fit(image).image(image)
    assert abs(seen).max() == 100
    seen[30, 30:33] = alone[30, 30:33]
    np.testing.assert_allclose(seen, alone, atol=0.02)
