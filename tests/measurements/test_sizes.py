import numpy as np
import pytest

from nucseg.core.errors import ConfigError, InputError
from nucseg.measurements.sizes import area_in_pixels, checked_pixel_size, length_in_pixels, size_text


@pytest.mark.parametrize("given, kept", [(5, "5"), ("2.5", "2.5"), (" 12 PX ", "12px"), (".5px", ".5px"), (None, None)])
def test_a_size_is_kept_as_text(given, kept):
    assert size_text(given) == kept


@pytest.mark.parametrize("given", [0, -1, "0px", "5um", "px", "", "nan", "1e400x", True, "5,5"])
def test_what_is_no_size(given):
    with pytest.raises(ValueError, match="must be a number above 0, in micrometres, or in pixels such as 12px"):
        size_text(given)


def test_micrometres_become_pixels():
    assert length_in_pixels("5", (0.5, 0.5), "--expand", "a") == 10
    assert length_in_pixels("4", (0.4, 1.6), "--expand", "a") == pytest.approx(5)
    assert length_in_pixels("7px", None, "--expand", "a") == 7
    assert area_in_pixels("20", (0.5, 0.25), "--min-area", "a") == 160
    assert area_in_pixels("20px", (0.5, 0.25), "--min-area", "a") == 20


def test_micrometres_of_an_unknown_pixel_size_are_refused():
    with pytest.raises(
        InputError, match=r"a: its pixel size is unknown, which --expand 5 .*--pixel-size, .*--expand 5px\.$"
    ):
        length_in_pixels("5", None, "--expand", "a")


@pytest.mark.parametrize(
    "given", [0.5, np.float32(0.5), np.array(0.5), [0.5, 0.5], (np.float32(0.5), 0.5), np.full(2, 0.5)]
)
def test_a_pixel_size_is_a_number_or_two(given):
    assert checked_pixel_size(given) == (0.5, 0.5)


@pytest.mark.parametrize(
    "given",
    [
        -0.5,
        0,
        np.inf,
        np.nan,
        "abc",
        "0.5",
        True,
        (1, 2, 3),
        (1, "2"),
        1001,
        b"ab",
        {},
        np.float64(0.0001),
        np.ones((2, 2)),
    ],
)
def test_what_is_no_pixel_size_is_refused(given):
    with pytest.raises(
        ConfigError, match=r"^pixel_size: .* is not allowed; .* from 0\.001 to 1000, or two, for a row and"
    ):
        checked_pixel_size(given)
