import errno
import io
import os
import zipfile

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from nucseg.core.errors import InputError, StorageError
from nucseg.images.io import decode_image, decode_labels, read_image, read_labels, write_image, write_labels

GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
CHANNEL_FIRST = np.ascontiguousarray(np.moveaxis(RGB, -1, 0))


def tiff(*images, **options):
    stream = io.BytesIO()
    with tifffile.TiffWriter(
        stream, **{k: options.pop(k) for k in ("imagej", "ome", "bigtiff") if k in options}
    ) as file:
        for image in images:
            file.write(image, **options)
    stream.seek(0)
    return stream


def pillow(array, file_format, mode=None):
    stream = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(stream, file_format)
    stream.seek(0)
    return stream


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd"])
@pytest.mark.parametrize("image", [GREY, RGB, GREY.astype(np.uint16) * 257, GREY / np.float32(255)])
def test_a_tiff_of_any_compression_comes_back(image, compression):
    read = decode_image(tiff(image, compression=compression), "a")
    assert read.dtype == image.dtype
    assert np.array_equal(read, image)


@pytest.mark.parametrize(
    "stream",
    [
        tiff(CHANNEL_FIRST, photometric="rgb", planarconfig="separate"),
        tiff(CHANNEL_FIRST, photometric="rgb", planarconfig="separate", metadata=None, compression="zlib"),
        tiff(CHANNEL_FIRST, ome=True, photometric="rgb", planarconfig="separate"),
        tiff(
            CHANNEL_FIRST,
            ome=True,
            photometric="minisblack",
            metadata={"axes": "CYX", "Channel": {"Name": ["Red", "Green", "Blue"]}},
        ),
    ],
    ids=["planar", "bare planar", "OME", "OME channels called red, green and blue"],
)
def test_channels_are_turned_to_the_end(stream):
    assert np.array_equal(decode_image(stream, "a"), RGB)


def test_channels_at_the_end_stay_there_even_in_an_image_of_three_rows():
    image = RGB[:3, :4]
    assert np.array_equal(decode_image(tiff(image, photometric="rgb"), "a"), image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (20, 1), (3, 3), (4, 30), (1, 30, 3)])
def test_thin_images_keep_their_shape(shape):
    assert decode_image(tiff(np.zeros(shape, np.uint8)), "a").shape == shape


def test_axes_of_length_one_are_dropped():
    assert np.array_equal(decode_image(tiff(GREY[None, None], imagej=True), "a"), GREY)


def test_a_smaller_second_image_is_a_thumbnail():
    assert np.array_equal(decode_image(tiff(GREY, GREY[::2, ::2], metadata=None), "a"), GREY)


def test_zero_as_white_is_turned_in_images_only():
    stream = tiff(GREY, photometric="miniswhite")
    assert np.array_equal(decode_image(stream, "a"), 255 - GREY)
    assert np.array_equal(decode_labels(stream, "a"), GREY)


def test_big_endian_big_tiff_and_bilevel():
    assert np.array_equal(decode_image(tiff(GREY.astype(">u2")), "a"), GREY)
    assert np.array_equal(decode_image(tiff(GREY, bigtiff=True), "a"), GREY)
    assert np.array_equal(decode_image(tiff(GREY > 100, photometric="minisblack"), "a"), GREY > 100)


@pytest.mark.parametrize(
    "stream, expected",
    [
        (pillow(GREY, "PNG"), GREY),
        (pillow(RGB, "PNG"), RGB),
        (pillow(RGB, "PNG", "RGBA"), np.dstack([RGB, np.full_like(GREY, 255)])),
        (pillow(GREY, "PNG", "LA"), GREY),
        (pillow(GREY, "PNG", "P"), np.repeat(GREY[..., None], 3, axis=2)),
        (io.BytesIO(imagecodecs.png_encode(RGB.astype(np.uint16) * 257)), RGB.astype(np.uint16) * 257),
    ],
    ids=["grey", "RGB", "RGBA", "grey and alpha", "colour table", "16 bit RGB"],
)
def test_png(stream, expected):
    read = decode_image(stream, "a")
    assert read.dtype == expected.dtype
    assert np.array_equal(read, expected)


@pytest.mark.parametrize("image", [np.full((16, 16), 90, np.uint8), np.full((16, 16, 3), 90, np.uint8)])
def test_jpeg(image):
    assert np.array_equal(decode_image(pillow(image, "JPEG"), "a"), image)


def test_an_entry_of_a_zip_is_read_without_unpacking(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", pillow(GREY, "PNG").getvalue())
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a.png") as stream:
        assert np.array_equal(decode_image(stream, "a.png"), GREY)


def cut(stream, end):
    return io.BytesIO(stream.getvalue()[:end])


@pytest.mark.parametrize(
    "stream, message",
    [
        (io.BytesIO(b""), r"a: is empty \(it has no bytes\); fetch or save it again"),
        (io.BytesIO(b"hello"), "a: is not a TIFF, PNG or JPEG"),
        (io.BytesIO(b"II*\0"), "a: cannot be read"),
        (io.BytesIO(b"\x89PNG\r\n"), "a: cannot be read"),
        (io.BytesIO(b"\xff\xd8\xff\xe0"), "a: is truncated"),
        (cut(tiff(GREY), -50), "a: is truncated"),
        (cut(tiff(GREY, compression="jpeg"), -50), "a: is truncated"),
        (cut(tiff(GREY, compression="lzw", rowsperstrip=4), 400), "a: is truncated"),
        (cut(pillow(GREY, "PNG"), 300), "a: cannot be read"),
        (cut(pillow(GREY, "JPEG"), -50), "a: is truncated"),
        (
            tiff(np.zeros((5, 20, 30), np.uint8), photometric="minisblack"),
            r"holds 5 planes \(numbers 0 to 4\); choose one",
        ),
        (tiff(CHANNEL_FIRST, imagej=True, metadata={"axes": "ZYX"}), "planes along Z"),
        (tiff(CHANNEL_FIRST, imagej=True, metadata={"axes": "TYX"}), "planes along T"),
        (tiff(CHANNEL_FIRST[:2], imagej=True, metadata={"axes": "CYX"}), "holds 2 channels"),
        (tiff(GREY, np.zeros((40, 40), np.uint8), metadata=None), "holds 2 images"),
        (pillow(RGB, "TIFF", "CMYK"), "CMYK"),
        (pillow(RGB, "JPEG", "CMYK"), "CMYK"),
        (tiff(np.full((4, 5), np.nan, np.float32)), "NaN"),
        (tiff(GREY.astype(np.complex64)), "complex64"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(stream, message):
    with pytest.raises(InputError, match=message):
        decode_image(stream, "a")


@given(st.binary(max_size=200), st.sampled_from([b"II*\0", b"MM\0*", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b""]))
def test_no_rubbish_gets_past_the_error(data, start):
    with pytest.raises(InputError, match="rubbish"):
        decode_image(io.BytesIO(start + data), "rubbish")


@pytest.mark.parametrize("read", [read_image, read_labels])
def test_a_missing_file_and_a_folder_are_named(tmp_path, read):
    for path in (tmp_path / "missing.tif", tmp_path):
        with pytest.raises(InputError, match=f"{path}: cannot be opened"):
            read(path)


@given(
    arrays(
        st.sampled_from([np.uint8, np.uint16, np.float32]),
        st.one_of(array_shapes(min_dims=2, max_dims=2, max_side=9), st.tuples(*[st.integers(1, 9)] * 2, st.just(3))),
        elements=st.integers(0, 255),
    )
)
def test_what_is_written_is_read_again(tmp_path_factory, image):
    path = tmp_path_factory.mktemp("images") / "a.tif"
    write_image(path, image)
    read = read_image(path)
    assert read.dtype == image.dtype
    assert np.array_equal(read, image)


def test_images_are_written_compressed_the_same_each_time_and_alone(tmp_path):
    image = np.zeros((200, 200, 1), np.uint8)
    write_image(tmp_path / "new" / "a.tif", image)
    write_image(tmp_path / "new" / "b.tif", image)
    assert read_image(tmp_path / "new" / "a.tif").shape == (200, 200)
    assert (tmp_path / "new" / "a.tif").read_bytes() == (tmp_path / "new" / "b.tif").read_bytes()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.tif", "b.tif"]
    with tifffile.TiffFile(tmp_path / "new" / "a.tif") as file:
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE


@pytest.mark.parametrize("largest, dtype", [(0, np.uint16), (65_535, np.uint16), (65_536, np.uint32)])
def test_labels_are_written_as_small_as_they_fit(tmp_path, largest, dtype):
    labels = np.array([[0, 1, largest]], np.int32)
    write_labels(tmp_path / "a.tif", labels)
    assert tifffile.imread(tmp_path / "a.tif").dtype == dtype
    read = read_labels(tmp_path / "a.tif")
    assert read.dtype == np.int32
    assert np.array_equal(read, labels)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "uint32"])
def test_labels_of_any_integer_dtype_are_read(dtype):
    read = decode_labels(tiff(np.array([[0, 1]], dtype)), "a")
    assert read.dtype == np.int32
    assert read.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "labels, message",
    [
        (GREY + np.float32(0.5), "dtype float32 is not a label image"),
        (RGB, r"shape \(20, 30, 3\) is not a label image"),
        (np.array([[0, -3]], np.int32), "negative label -3"),
        (np.array([[0, 2**31]], np.uint32), "contains the label 2147483648"),
    ],
)
def test_what_is_no_label_image_is_refused_by_name(tmp_path, labels, message):
    with pytest.raises(InputError, match=f"a: .*{message}"):
        decode_labels(tiff(labels), "a")
    with pytest.raises(InputError, match=message):
        write_labels(tmp_path / "a.tif", labels)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_reported_and_nothing_stays(tmp_path, monkeypatch):
    def full(path, *_, **__):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(StorageError, match="the disk is full"):
        write_image(tmp_path / "a.tif", GREY)
    assert not list(tmp_path.iterdir())
