"""Uploads are read by the rule for all images."""

import io

import numpy as np
import pytest
import tifffile

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.planes import STAINS
from nucseg.images.stains import density
from nucseg.serving.plane import DataPlane

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def upload(image, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, **options)
    stream.seek(0)
    return stream


@pytest.mark.parametrize("read", ["decode", "open"])
@pytest.mark.parametrize("options", [{"imagej": True, "metadata": {"axes": "CYX"}}, {"photometric": "minisblack"}])
def test_an_upload_of_several_channels_or_pages_is_refused(read, options):
    data = upload(np.moveaxis(RGB, -1, 0).copy(), **options)
    with pytest.raises(
        InputError, match=r"image: holds 3 \w+ \(numbers 0 to 2\); .* or save the image to use as a separate file"
    ):
        getattr(DataPlane(None, 10**6), read)(data)


def test_colour_is_read_at_once_and_window_by_window():
    plane, data = DataPlane(None, 10**6), upload(RGB, photometric="rgb")
    assert np.array_equal(plane.decode(data), RGB)
    source = plane.open(data)
    assert np.array_equal(source.read(Window.whole(source.shape)), RGB)


def test_a_stain_is_kept_with_its_colours_and_all_stains_are_measured():
    plane, data = DataPlane(None, 10**6), upload(RGB, photometric="rgb")
    source = plane.open(data, channel="dab")
    whole = Window.whole(source.shape)
    assert source.stain == "dab"
    assert np.array_equal(source.read(whole), RGB)
    channels = plane.channels(data, source)
    assert [channel.name for channel in channels] == list(STAINS)
    for channel in channels:
        assert np.array_equal(channel.source.read(whole), density(RGB, channel.name))
