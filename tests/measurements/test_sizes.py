import pytest

from nucseg.core.errors import InputError
from nucseg.measurements.sizes import area_in_pixels, length_in_pixels, size_text


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
