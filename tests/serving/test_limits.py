"""What the service refuses before it costs anything."""

import io
import struct
import threading
import time
import zlib

import imagecodecs
import numpy as np
import pytest
import requests
import tifffile

from nucseg.core.errors import InputError
from nucseg.core.streams import without_file
from nucseg.serving.errors import TooLargeError
from nucseg.serving.limits import check_size

TIFF = {"Content-Type": "image/tiff"}


def png(width: int, height: int, data: bytes) -> bytes:
    """Write a grey PNG of 8 bits whose compressed pixels are `data`."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """65,000 x 65,000 black pixels, 4.2 GB: well-formed to the first tenth, which is enough for a decoder to begin."""
    squeezed = zlib.compressobj(9)
    data = b"".join(squeezed.compress(bytes(1 << 20)) for _ in range(30)) + squeezed.flush()
    made = png(65_000, 65_000, data)
    assert len(made) < 35_000
    return made


def memory_of_this_process() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("path", ["/model/predict", "/tasks", "/invocations"])
def test_a_bomb_is_refused_by_its_header(serve, bomb, path) -> None:
    server = serve()
    before, started = memory_of_this_process(), time.monotonic()
    if path == "/model/predict":
        answer = server.predict(bomb)
    else:
        answer = server.post(path, data=bomb, headers={"Content-Type": "image/png"})
    assert answer.status_code == 413
    assert "4225000000 pixels" in answer.json()["message"]
    assert memory_of_this_process() - before < 100_000_000
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("suffix", ["png", "jpeg", "tiff"])
def test_pixels_are_counted_in_every_format(serve, encode, suffix) -> None:
    server = serve(max_pixels=100 * 100)
    assert server.predict(encode(np.zeros((100, 100), np.uint8), suffix)).status_code == 200
    answer = server.predict(encode(np.zeros((100, 101), np.uint8), suffix))
    assert answer.status_code == 413
    assert "allowed are 10000" in answer.json()["message"]


def test_every_page_of_a_tiff_counts() -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((40, 100, 100), np.uint8))
    check_size(stream, 100 * 100 * 40)
    with pytest.raises(TooLargeError):
        check_size(stream, 100 * 100)
    many = io.BytesIO()
    with tifffile.TiffWriter(many) as writer:
        for _ in range(1001):
            writer.write(np.zeros((1, 1), np.uint8), contiguous=False, metadata=None)
    with pytest.raises(TooLargeError, match="1000 pages"):
        check_size(many, 10**9)


def test_a_tiff_that_unpacks_to_more_than_it_says_takes_no_memory(serve) -> None:
    """Its one strip of 64 x 64 pixels holds 256 MB of zeros, compressed a thousandfold."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((64, 64), np.uint8), compression="zlib")
    data = bytearray(stream.getvalue())
    squeezed = zlib.compressobj(9)
    strip = b"".join(squeezed.compress(bytes(1 << 24)) for _ in range(16)) + squeezed.flush()
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tiff:
        tags = tiff.pages[0].tags
        places = tags["StripOffsets"].valueoffset, tags["StripByteCounts"].valueoffset
        sizes = [4 if tags[name].dtype == 4 else 2 for name in ("StripOffsets", "StripByteCounts")]
        assert sizes[0] == 4
    data[places[0] : places[0] + 4] = struct.pack("<I", len(data))
    if sizes[1] == 2:  # a short cannot say it: let the tag be a long
        data[places[1] - 6 : places[1] - 4] = struct.pack("<H", 4)
    data[places[1] : places[1] + 4] = struct.pack("<I", len(strip))
    server = serve()
    before = memory_of_this_process()
    assert server.predict(bytes(data) + strip).status_code in (200, 400)
    assert memory_of_this_process() - before < 150_000_000


def test_a_tile_counts_as_what_it_unpacks_to() -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((16, 16), np.uint8), tile=(2048, 2048), compression="zlib")
    check_size(stream, 2048 * 2048)
    with pytest.raises(TooLargeError, match="4194304 pixels"):
        check_size(stream, 2048 * 2047)


def test_a_jpeg_within_a_tiff_counts_by_its_own_size() -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((16, 16), np.uint8), compression="jpeg")
    check_size(stream, 256)
    large = imagecodecs.jpeg8_encode(np.zeros((512, 512), np.uint8))
    with tifffile.TiffFile(stream) as tiff:
        page = tiff.pages.first
        content, (old,) = stream.getvalue(), page.dataoffsets
        offsets, counts = page.tags["StripOffsets"].valueoffset, page.tags["StripByteCounts"].valueoffset
    changed = bytearray(content + large)
    changed[offsets : offsets + 4] = struct.pack("<I", len(content))
    changed[counts : counts + 4] = struct.pack("<I", len(large))
    assert old != len(content)
    with pytest.raises(TooLargeError, match="262144 pixels"):
        check_size(io.BytesIO(bytes(changed)), 256)


def test_codecs_that_say_a_size_of_their_own_are_not_accepted() -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((16, 16), np.uint8), compression="jpeg2000")
    with pytest.raises(InputError, match=r"compression \w+ is not accepted. Save it with deflate"):
        check_size(stream, 10**6)


@pytest.mark.parametrize("options", [{"bitspersample": 12}, {"lossless": True}])
def test_a_jpeg_of_another_kind_is_not_let_through(options) -> None:
    image = np.zeros((256, 256), np.uint16 if options.get("bitspersample") else np.uint8)
    with pytest.raises(InputError):
        check_size(io.BytesIO(imagecodecs.jpeg8_encode(image, **options)), 256 * 255)


@pytest.mark.parametrize("start", [b"\x89PNG", b"II*\0", b"MM\0*", b"II+\0", b"\xff\xd8\xff", b""])
def test_damaged_headers_are_the_clients_fault(start) -> None:
    generator = np.random.default_rng(0)
    for length in (0, 1, 8, 30, 300):
        for _ in range(20):
            stream = io.BytesIO(start + generator.bytes(length))
            try:
                check_size(stream, 1000)
            except InputError:
                continue
            assert stream.tell() == 0


def test_an_upload_names_no_other_file(serve, tmp_path) -> None:
    """An OME-TIFF may say that its pixels lie in another file; that one is never opened."""
    secret = tmp_path / "secret.tif"
    tifffile.imwrite(secret, np.full((32, 32), 200, np.uint8))
    stream = io.BytesIO()
    pixels = (
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="32" SizeY="32" SizeC="1" SizeZ="1" SizeT="1">'
        f'<TiffData IFD="0"><UUID FileName="{secret}">urn:uuid:other</UUID></TiffData></Pixels>'
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:this">'
        f'<Image ID="Image:0">{pixels}</Image></OME>'
    )
    tifffile.imwrite(stream, np.zeros((32, 32), np.uint8), description=xml, metadata=None)
    server = serve()
    answer = server.predict(stream.getvalue())
    assert answer.json().get("predictions", []) == []
    file = tmp_path / "upload"
    file.write_bytes(stream.getvalue())
    with file.open("rb") as opened, pytest.raises(io.UnsupportedOperation):
        without_file(opened).fileno()


@pytest.mark.parametrize("chunked", [False, True])
def test_large_uploads_are_cut_off(serve, chunked) -> None:
    server = serve(max_upload_mb=1, max_task_upload_mb=2)
    body = bytes((1 << 20) + 1)
    pieces = (body[i : i + 65536] for i in range(0, len(body), 65536)) if chunked else body
    answer = server.post("/invocations", data=pieces, headers=TIFF)
    assert answer.status_code == 413
    assert answer.json()["status"] == "error"
    form = requests.post(f"{server.url}/model/predict", files={"image": ("a", body)}, timeout=60)
    assert form.status_code == 413
    assert server.post("/tasks", data=body, headers=TIFF).status_code == 201


def test_a_request_may_not_take_for_ever(serve, encode) -> None:
    server = serve(seconds=1.0, request_timeout=0.3)
    answer = server.predict(encode(np.zeros((8, 8), np.uint8)))
    assert answer.status_code == 503
    assert "0.3 s" in answer.json()["message"]
    assert int(answer.headers["retry-after"]) > 0


def test_a_slow_upload_may_not_either(serve) -> None:
    server = serve(request_timeout=0.5)

    def trickle():
        for _ in range(30):
            yield b"x"
            time.sleep(0.1)

    try:
        answer = server.post("/tasks", data=trickle(), headers=TIFF)
    except requests.ConnectionError:
        return  # the server hung up
    assert answer.status_code == 503


def test_requests_beyond_the_limit_are_sent_away_and_health_answers(serve, encode) -> None:
    server = serve(seconds=0.5, max_requests=4, threads=1)
    image = encode(np.zeros((8, 8), np.uint8))
    codes, health = [], []
    asking = [threading.Thread(target=lambda: codes.append(server.predict(image))) for _ in range(8)]
    for thread in asking:
        thread.start()
    while any(thread.is_alive() for thread in asking):
        started = time.monotonic()
        assert server.get("/health/live").status_code == 200
        health.append(time.monotonic() - started)
        time.sleep(0.05)
    for thread in asking:
        thread.join()
    assert sorted(answer.status_code for answer in codes) == [200] * 4 + [503] * 4
    assert all(int(answer.headers["retry-after"]) for answer in codes if answer.status_code == 503)
    assert np.median(health) < 0.3
