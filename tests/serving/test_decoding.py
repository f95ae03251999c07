"""Decoding in separate processes: the same pixels, and an end to whatever takes too much."""

import contextlib
import dataclasses
import io
import signal
import struct
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver

import imagecodecs
import numpy as np
import psutil
import pytest
import tifffile

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.io import decode_image, open_stream
from nucseg.serving import decoding
from nucseg.serving.decoding import decode_upload
from nucseg.serving.errors import TooLargeError
from nucseg.serving.limits import check_size
from slides import write_slide


def tiff(image: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, photometric="rgb" if image.ndim == 3 else "minisblack", **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def uploads() -> dict[str, bytes]:
    generator = np.random.default_rng(0)
    rgb = generator.integers(0, 255, (900, 300, 3), np.uint8)
    grey = generator.integers(0, 60_000, (600, 37), np.uint16)
    return {
        "png": imagecodecs.png_encode(rgb),
        "png with alpha": imagecodecs.png_encode(np.dstack([rgb, rgb[..., 0]])),
        "png of 16 bits": imagecodecs.png_encode(grey),
        "jpeg": imagecodecs.jpeg_encode(rgb, level=60),
        "strips": tiff(rgb, compression="zlib"),
        "tiles": tiff(rgb, compression="lzw", tile=(64, 64), predictor=True),
        "jpeg tiles": tiff(rgb, compression="jpeg", tile=(64, 64)),
        "float": tiff(grey.astype(np.float32), resolution=(20_000, 20_000), resolutionunit="CENTIMETER"),
        "big-endian": tiff(grey, byteorder=">", bigtiff=True),
        "0 is white": tiff(grey).replace(
            b"\x06\x01\x03\x00\x01\x00\x00\x00\x01", b"\x06\x01\x03\x00\x01\x00\x00\x00\x00"
        ),
    }


def test_an_upload_with_levels_comes_as_its_full_resolution(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    path = write_slide(tmp_path, image, 0.25)
    source = decode_upload(io.BytesIO(path.read_bytes()), 10**7)
    np.testing.assert_array_equal(source.read(Window.whole(source.shape)), image)
    assert source.levels == ()


def test_the_pixels_are_those_of_the_decoder(uploads) -> None:
    for name, data in uploads.items():
        expected = decode_image(io.BytesIO(data), name)
        source = decode_upload(io.BytesIO(data), 10**7)
        assert (source.shape, source.dtype) == (expected.shape, expected.dtype), name
        np.testing.assert_array_equal(source.read(Window.whole(source.shape)), expected, name)
        np.testing.assert_array_equal(source.read(Window(3, 5, 30, 20)), expected[3:30, 5:20], name)
        there = open_stream(io.BytesIO(data), name)
        assert dataclasses.replace(source, name=name, read=there.read) == there
    assert decode_upload(io.BytesIO(uploads["float"]), 10**7).pixel_size == (0.5, 0.5)
    assert decode_upload(io.BytesIO(uploads["jpeg"]), 10**7).coarse_colours


def run(data: bytes, **changes) -> None:
    """Decode at another cost than the header's."""
    cost = check_size(io.BytesIO(data), 10**9)
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as target:
        file.write(data)
        file.flush()
        decoding._run(dataclasses.replace(cost, **changes), "image", file.fileno(), target.fileno(), lambda: None)


def test_not_all_of_the_room_for_libraries_is_needed(uploads) -> None:
    for data in uploads.values():
        run(data, memory=check_size(io.BytesIO(data), 10**9).memory - decoding._OVERHEAD // 3)


def black_png(rows: int, columns: int, *, behind: int = 0) -> bytes:
    """Write a black PNG, with as many more rows behind its pixels, without compressing all of them."""
    squeezed = zlib.compressobj(9)
    head = squeezed.compress(b"") + squeezed.flush(zlib.Z_FULL_FLUSH)
    thousand = squeezed.compress(bytes(1000 * (columns + 1))) + squeezed.flush(zlib.Z_FULL_FLUSH)
    data = head + thousand * ((rows + behind) // 1000) + b"\x03\x00"
    content = b""
    for kind, each in (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)),
        (b"IDAT", data),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(each)) + kind + each + struct.pack(">I", zlib.crc32(kind + each))
    return b"\x89PNG\r\n\x1a\n" + content


@pytest.fixture(scope="module")
def black() -> bytes:
    """256 megapixels in 250 kilobytes; they take a second or more."""
    return black_png(16_000, 16_000)


def test_memory_ends(black) -> None:
    with pytest.raises(TooLargeError, match="takes more than the 10 MB of memory that its header implies"):
        run(black, memory=10 << 20)


def test_time_ends(black) -> None:
    bomb = black_png(4000, 4000, behind=2_000_000)  # eight gigabytes in eight megabytes
    with pytest.raises(TooLargeError, match="takes longer than the allowed 1 s to decode"):
        run(bomb, size=-90_000_000)
    with pytest.raises(TooLargeError, match="takes longer than the allowed 0 s"):
        run(black, size=-100_000_000)


def test_what_nobody_waits_for_is_ended(black) -> None:
    class GoneError(Exception):
        pass

    def gone() -> None:
        raise GoneError

    with pytest.raises(GoneError):
        decode_upload(io.BytesIO(black_png(4000, 4000, behind=2_000_000)), 10**9, waiting=gone)
    assert psutil.Process(forkserver._forkserver._forkserver_pid).children() == []


@pytest.mark.parametrize(
    "number, kind, says",
    [
        (signal.SIGKILL, TooLargeError, "needs more memory to decode than is available"),  # so the kernel ends it
        (signal.SIGSEGV, InputError, "cannot be decoded"),
    ],
)
def test_a_process_that_dies_is_the_end_of_its_image_alone(black, uploads, wait, number, kind, says) -> None:
    decode_upload(io.BytesIO(uploads["png"]), 10**7)
    server = psutil.Process(forkserver._forkserver._forkserver_pid)
    with ThreadPoolExecutor() as pool:
        image = pool.submit(decode_upload, io.BytesIO(black), 10**9)
        wait(server.children)
        for process in server.children():
            process.send_signal(number)
        with pytest.raises(kind, match=says):
            image.result()
    assert decode_upload(io.BytesIO(uploads["png"]), 10**7).shape == (900, 300, 3)


def test_a_full_disk_is_not_the_fault_of_the_image(uploads, monkeypatch) -> None:
    with tempfile.TemporaryFile() as upload:
        upload.write(uploads["png"])
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda: open("/dev/full", "wb"))  # noqa: PTH123, SIM115
        with pytest.raises(OSError, match="No space left"):
            decode_upload(upload, 10**7)


def test_damaged_files_are_the_clients_fault(uploads) -> None:
    for name, data in uploads.items():
        for damaged in (data[: len(data) // 2], data[: len(data) // 2] + bytes(len(data) - len(data) // 2)):
            with contextlib.suppress(InputError):  # zeros are pixels where nothing is compressed
                assert decode_upload(io.BytesIO(damaged), 10**7).dtype, name
