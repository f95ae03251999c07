"""PNG and JPEG."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.io import decode_image
from nucseg.images.open import open_image
from nucseg.images.planes import TRANSPARENT

GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
SMOOTH = np.stack(np.broadcast_arrays(*np.ogrid[40:60, 80:110], 150), axis=-1).astype(np.uint8)


def read(path, channel=None):
    source = open_image(path, channel)
    image = source.read(Window.whole(source.shape))
    assert (image.shape, image.dtype) == (source.shape, source.dtype)
    return image


def jpeg(image, mode=None, **options):
    stream = io.BytesIO()
    picture = Image.fromarray(image)
    (picture.convert(mode) if mode else picture).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "tail", [b"\x01\xff\xda\x02", b"\0" * 1000, b"\xff", b"\xff\xd8\xff\xe0 and more", b"\xff\xda"]
)
@pytest.mark.parametrize("progressive", [False, True])
def test_bytes_behind_the_end_of_a_jpeg_do_not_matter(tmp_path, tail, progressive):
    data = jpeg(SMOOTH, quality=95, progressive=progressive)
    (tmp_path / "a.jpg").write_bytes(data + tail)
    assert np.array_equal(read(tmp_path / "a.jpg"), imagecodecs.jpeg_decode(data))


def test_a_second_picture_behind_the_end_is_reported(tmp_path):
    pictures = [Image.fromarray(SMOOTH), Image.fromarray(SMOOTH[::-1].copy())]
    pictures[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=pictures[1:], quality=98)
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - SMOOTH).max() <= 9
    assert open_image(tmp_path / "a.jpg").notes == ("another picture after its end is ignored.",)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("thumbnail", [False, True])
def test_a_jpeg_that_is_cut_anywhere_is_refused(progressive, thumbnail):
    options = {}
    if thumbnail:  # a whole JPEG in its EXIF data
        exif = Image.Exif()
        exif[0x927C] = jpeg(GREY)
        options["exif"] = exif
    data = jpeg(SMOOTH, quality=95, progressive=progressive, **options)
    assert decode_image(io.BytesIO(data), "a").shape == (20, 30, 3)
    for end in range(4, len(data) - 1, 7):
        with pytest.raises(InputError, match="a: is truncated"):
            decode_image(io.BytesIO(data[:end]), "a")


def test_jpeg_with_restarts():
    data = jpeg(np.tile(SMOOTH, (5, 5, 1)), restart_marker_rows=1)
    assert decode_image(io.BytesIO(data), "a").shape == (100, 150, 3)


def test_adobes_jpeg_of_rgb_is_not_taken_for_ycbcr():
    data = imagecodecs.jpeg_encode(SMOOTH, level=98, colorspace="RGB", outcolorspace="RGB", subsampling="444")
    found = decode_image(io.BytesIO(data), "a").astype(int)
    assert np.abs(found - SMOOTH).max() <= 4


@pytest.mark.parametrize("colours", ["CMYK", "YCCK"])
def test_a_jpeg_of_four_inks_is_refused(colours):
    data = imagecodecs.jpeg_encode(np.dstack([SMOOTH, GREY]), colorspace="CMYK", outcolorspace=colours)
    with pytest.raises(InputError, match="a: holds CMYK colours; convert it to RGB"):
        decode_image(io.BytesIO(data), "a")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(image, *chunks, depth=8, colour=0):
    """Write a PNG by hand, with further chunks before its pixels."""
    height, width = image.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("samples, colour", [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_png_of_every_kind_and_each_of_its_channels(tmp_path, dtype, samples, colour):
    image = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (20, 30, samples), dtype)
    (tmp_path / "a.png").write_bytes(
        png(image.astype(image.dtype.newbyteorder(">")), depth=8 * dtype().nbytes, colour=colour)
    )
    expected = image if samples > 2 else image[..., 0]
    assert np.array_equal(read(tmp_path / "a.png"), expected)
    for number, name in enumerate(
        {1: [], 2: ["grey", "alpha"]}.get(samples, ["red", "green", "blue", "alpha"])[:samples]
    ):
        assert np.array_equal(read(tmp_path / "a.png", number), image[..., number])
        assert np.array_equal(read(tmp_path / "a.png", name), image[..., number])
    with pytest.raises(InputError, match=f"a.png: has no channel '{samples}'"):
        open_image(tmp_path / "a.png", samples)


def test_transparency_beside_grey_is_noted(tmp_path):
    picture = np.dstack([GREY, np.full_like(GREY, 255)])
    (tmp_path / "a.png").write_bytes(png(picture, depth=8, colour=4))
    assert open_image(tmp_path / "a.png").notes == ()
    picture[3, 4, 1] = 254
    (tmp_path / "a.png").write_bytes(png(picture, depth=8, colour=4))
    assert open_image(tmp_path / "a.png").notes == (TRANSPARENT,)


def test_the_colour_table_of_a_png_is_applied(tmp_path):
    table = np.random.default_rng(3).integers(0, 256, (256, 3), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png(GREY, chunk(b"PLTE", table.tobytes()), colour=3))
    assert np.array_equal(read(tmp_path / "a.png"), table[GREY])
    alpha = np.arange(256, dtype=np.uint8)
    (tmp_path / "b.png").write_bytes(
        png(GREY, chunk(b"PLTE", table.tobytes()), chunk(b"tRNS", alpha.tobytes()), colour=3)
    )
    assert np.array_equal(read(tmp_path / "b.png"), np.dstack([table[GREY], GREY]))


def test_an_animated_png_is_several_images(tmp_path):
    first, second = Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    with pytest.raises(InputError, match=r"a.png: holds 2 images; save the one to use as a separate file"):
        open_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_orientation_is_reported(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(SMOOTH).save(tmp_path / f"a.{suffix}", exif=exif)
    source = open_image(tmp_path / f"a.{suffix}")
    assert source.shape == (20, 30, 3)
    said = (f"its orientation tag ({orientation}) is not applied: rows and columns are as stored.",)
    assert source.notes == (said if orientation > 1 else ())


def test_broken_exif_data_cost_nothing(tmp_path):
    data = jpeg(SMOOTH)
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1\x00\x10Exif\0\0MM\0*\0\0\0\x99" + data[2:])
    assert read(tmp_path / "a.jpg").shape == (20, 30, 3)
