import numpy as np
import pytest

from nucseg.core.window import Window
from nucseg.images import source as source_module
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.source import array_source
from nucseg.images.survey import survey
from nucseg.images.transforms import Normalize


def noise(*channels: int, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(20, 120, (90, 110, *channels)).astype(dtype)


def framed(image: np.ndarray, value, top=0, left=0, bottom=0, right=0) -> np.ndarray:
    framed = image.copy()
    framed[:top], framed[:, :left] = value, value
    framed[len(image) - bottom :], framed[:, image.shape[1] - right :] = value, value
    return framed


def inside(image: np.ndarray) -> Window | None:
    surroundings = survey(array_source(image)).surroundings
    return surroundings.inside if surroundings else None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("sides", [(2, 2, 2, 2), (3, 0, 0, 0), (0, 0, 0, 5), (4, 6, 0, 0)])
def test_equal_rows_and_columns_at_the_border_are_a_frame(monkeypatch, dtype, channels, sides):
    monkeypatch.setattr(source_module, "_BAND_PIXELS", 1500)
    top, left, bottom, right = sides
    image = framed(noise(*channels, dtype=dtype), 125, *sides)
    assert inside(image) == Window(top, left, 90 - bottom, 110 - right)


@pytest.mark.parametrize(
    "image",
    [
        noise(),
        framed(noise(), 125, 1, 1, 1, 1),  # a single line may be chance
        framed(noise(), 70, 4, 4, 4, 4),  # a value that is frequent in the image
        np.where(noise() > 90, noise(), 0),  # a background that was subtracted
        np.full((90, 110), 7, np.uint8),
        np.full((1, 1), 7, np.uint8),
        framed(np.zeros((90, 110), np.uint8), 9, 40, 30, 40, 30),  # more frame than image
    ],
)
def test_what_is_no_frame_counts(image):
    assert inside(image) is None


def test_a_frame_changes_neither_what_is_normalised_nor_what_the_network_sees_inside():
    preprocessor, image = Preprocessor((Normalize(),), 1), noise()
    alone = preprocessor.fit(image[3:-3, 3:-3])
    fitted = preprocessor.fit(framed(image, 255, 3, 3, 3, 3))
    assert (fitted.low, fitted.span) == (alone.low, alone.span)
    seen = fitted.filled(array_source(framed(image, 255, 3, 3, 3, 3))).read(Window.whole(image.shape))
    np.testing.assert_array_equal(seen[3:-3, 3:-3], image[3:-3, 3:-3])
    assert seen.max() < 130
