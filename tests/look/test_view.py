import base64
from dataclasses import replace

import numpy as np
import pytest

from look_page import field_of, squares
from nucseg.core.errors import ConfigError, InputError
from nucseg.images.source import ImageSource
from nucseg.look import view
from nucseg.look.page import render_page
from nucseg.look.view import view_of
from nucseg.measurements.field import MeasuredChannel


def _pixels(channel, shape):
    return np.frombuffer(base64.b64decode(channel["pixels"]), np.uint8).reshape(shape)


def test_outlines_scores_and_measurements():
    shown = view_of(field_of(squares(), pixel_size=(0.5, 0.5)))
    assert shown["nuclei"]["rings"][0] == [5, 15, 15, 15, 15, 25, 5, 25] or len(shown["nuclei"]["rings"][0]) == 8
    assert sorted(zip(*[iter(shown["nuclei"]["rings"][3])] * 2, strict=True)) == [
        (60, 15),
        (60, 25),
        (70, 15),
        (70, 25),
    ]
    assert shown["nuclei"]["scores"] == [0.5, 0.63333, 0.76667, 0.9]
    assert shown["nuclei"]["columns"]["area_um2"] == [25.0] * 4
    assert shown["nuclei"]["columns"]["touches_border"] == [False] * 4


def test_no_nucleus():
    shown = view_of(field_of(np.zeros((10, 12), np.int32)))
    assert (shown["nuclei"]["rings"], shown["nuclei"]["scores"]) == ([], [])
    assert shown["nuclei"]["columns"]["area"] == []


def test_grey_values_are_stretched_between_their_limits():
    image = np.arange(3200, dtype=np.uint16).reshape(40, 80) + 500
    (channel,) = view_of(field_of(squares(), image))["channels"]
    assert (channel["low"], channel["high"]) == pytest.approx((501.6, 3697.4), abs=0.1)
    pixels = _pixels(channel, (40, 80))
    assert (pixels[0, 0], pixels[-1, -1], pixels[20, 0]) == (0, 255, 128)


def test_measured_channels_are_shown_in_colours_of_their_own():
    image = np.full((40, 80), 7, np.uint8)
    source = ImageSource("b.tif", image.shape, image.dtype, lambda window: image[window.slices])
    channels = tuple(MeasuredChannel(name, source) for name in ("DAPI", "GFP"))
    shown = view_of(field_of(squares(), channels=channels))["channels"]
    assert [each["name"] for each in shown] == ["DAPI", "GFP"]
    assert shown[0]["colour"] != shown[1]["colour"]
    assert (_pixels(shown[0], (40, 80)) == 7).all()


def test_an_image_of_one_bit_is_black_and_white():
    (channel,) = view_of(field_of(squares(), squares() > 0))["channels"]
    assert (channel["low"], channel["high"]) == (0, 1)
    np.testing.assert_array_equal(_pixels(channel, (40, 80)), np.where(squares() > 0, 255, 0))


def test_not_a_number_is_black():
    image = np.full((40, 80), np.nan, np.float32)
    image[:, 40:] = np.arange(40)
    pixels = _pixels(view_of(field_of(squares(), image))["channels"][0], (40, 80))
    assert pixels[0, 0] == 0
    assert pixels[0, -1] == 255


@pytest.mark.parametrize(
    "limit, text",
    [("LARGEST", r"80 x 40 pixels of 1 channel are more than the page shows \(3\)"), ("MOST", "4 nuclei are more")],
)
def test_what_is_too_much_is_refused(monkeypatch, limit, text):
    monkeypatch.setattr(view, limit, 3)
    with pytest.raises(InputError, match=text):
        view_of(field_of(squares()))


def test_a_stack_is_refused():
    with pytest.raises(InputError, match="has several planes; predict the one to look at"):
        view_of(replace(field_of(squares()), axes=(("z", 3),)))


def test_a_name_cannot_end_the_script():
    page = render_page([view_of(replace(field_of(squares()), name="</script><b>"))])
    assert "</script><b>" not in page


def test_without_bokeh_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bokeh.embed", None)
    with pytest.raises(ConfigError, match=r"pip install 'nucseg\[look\]'"):
        render_page([])
