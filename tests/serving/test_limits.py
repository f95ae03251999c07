"""What the service refuses before it costs anything."""

import base64
import io
import struct
import threading
import time
import tracemalloc
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
    assert "at most 10000 are allowed" in answer.json()["message"]


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
    with pytest.raises(InputError, match=r"has the compression \w+, which is not accepted. Use deflate"):
        check_size(stream, 10**6)


def in_a_tiff(jpeg: bytes) -> bytes:
    """Write a TIFF of 64 x 64 grey pixels whose one strip is a JPEG."""
    return tiff({259: 7, 262: 1, 273: len(tiff({})), 279: len(jpeg)}, behind=jpeg)


def tiff(tags: dict[int, int | tuple[int, ...]], behind: bytes = b"") -> bytes:
    """Write a TIFF of one page with these tags, all of them LONG, and 64 x 64 grey pixels where they say nothing."""
    tags = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 64, 279: 1, **tags}
    start = 8 + 2 + 12 * len(tags) + 4
    entries, more = b"", b""
    for tag, value in sorted(tags.items()):
        values = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(packed) > 4:
            packed, more = struct.pack("<I", start + len(more)), more + packed
        entries += struct.pack("<HHI", tag, 4, len(values)) + packed
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + more + behind


def frame(rows: int, columns: int, *, kind: int = 0xC0, samples: int = 1) -> bytes:
    """Write a frame header of a JPEG."""
    each = b"".join(bytes([number + 1, 0x11, 0]) for number in range(samples))
    return struct.pack(">BBHBHHB", 0xFF, kind, 8 + len(each), 8, rows, columns, samples) + each


SOI, COMMENT = b"\xff\xd8", b"\xff\xfe\x00\x06abcd"
BEFORE = {
    "nothing": b"",
    "a fill byte": b"\xff",
    "many fill bytes": b"\xff" * 40,
    "TEM": b"\xff\x01",
    "RST": b"\xff\xd3\xff\xff\xd4",
    "comments": COMMENT * 20,
    "a long comment": b"\xff\xfe\xff\xff" + bytes(65533),
    "tables": b"\xff\xdb\x00\x43" + bytes(65) + b"\xff\xc4\x00\x05" + bytes(3) + b"\xff\xcc\x00\x04" + bytes(2),
}


@pytest.mark.parametrize("kind", [0xC0, 0xC1, 0xC2])
@pytest.mark.parametrize("before", BEFORE)
def test_the_frame_of_a_jpeg_is_found_as_libjpeg_finds_it(before, kind) -> None:
    large = SOI + BEFORE[before] + frame(65500, 65500, kind=kind)
    for upload in (in_a_tiff(large), large + b"\xff"):
        with pytest.raises(TooLargeError, match="4290250000 pixels"):
            check_size(io.BytesIO(upload), 10**9)
    small = SOI + BEFORE[before] + frame(64, 64, kind=kind)
    assert check_size(io.BytesIO(in_a_tiff(small)), 64 * 64).pixels == 64 * 64


@pytest.mark.parametrize(
    "jpeg",
    [
        SOI + b"\xff\xd8" + frame(64, 64),
        SOI + b"\0" + frame(64, 64),
        SOI + b"\xff\xda\x00\x02" + frame(64, 64),
        SOI + b"\xff\xfe\x00\x01" + frame(64, 64),
        SOI + COMMENT * 1000 + frame(64, 64),
        SOI + b"\xff" * 5000,
        SOI + frame(64, 64, kind=0xC3),
        SOI + frame(64, 64, kind=0xF7),
        SOI + frame(0, 64),
        SOI + frame(64, 64)[:6],
        SOI,
    ],
)
def test_a_jpeg_without_a_frame_that_is_known_is_refused(jpeg) -> None:
    for upload in (in_a_tiff(jpeg), jpeg + b"\xff"):
        with pytest.raises(InputError):
            check_size(io.BytesIO(upload), 10**9)


REPEATED = (
    "SUkqAAgAAAAIAAABBAACAAAAbgAAAAIBAwABAAAACAAAAAMBAwABAAAAAQAAAAYBAwABAAAAAQAAABEBBAABAAAAbgAAABUBAwABAAAAAQAAABYBBAAB"
    "AAAAAAAAEBcBBAABAAAAQAAAAAAAAAAIAAAACAAAAA=="
)
BOMBS = {
    # Tags of two values: a product would repeat them 2^28 times.
    "two widths": base64.b64decode(REPEATED),
    "two lengths": tiff({257: (64, 64), 278: 2**28}),
    "two tile widths": tiff({322: (16, 16), 323: 2**28}),
    "two depths": tiff({32997: (2, 2)}),
    "two samples": tiff({277: (1, 1), 278: 2**28}),
    # 16 million tiles at one place.
    "tiles of one pixel": tiff({256: 4000, 257: 4000, 322: 1, 323: 1, 324: 8, 325: 1}),
    "strips of one row": tiff({257: 900_000, 256: 1, 278: 1}),
    "a tile of 2^30 pixels": tiff({322: 2**15, 323: 2**15, 324: 8, 325: 1}),
    "a pixel of 65,535 samples": tiff({277: 65535}),
    "no columns": tiff({256: 0}),
    "no rows": tiff({257: 0}),
    "more columns than a PNG has": tiff({256: 1_200_000, 257: 16}),
    "more rows than a PNG has": tiff({257: 1_200_000, 256: 16, 278: 1_200_000}),
    "a PNG with more data than pixels": png(64, 64, bytes(100_000)),
    "a PNG without columns": png(0, 64, b""),
    "a PNG of 2^31 rows": png(1, 2**31, b""),
    "nothing": b"",
    "text": b"hello " * 100,
}


@pytest.mark.parametrize("name", BOMBS)
def test_small_bombs_are_refused_by_their_header(name) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            check_size(io.BytesIO(BOMBS[name]), 4 * 10**8)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_what_decoding_takes_is_known_before() -> None:
    assert check_size(io.BytesIO(png(1000, 1000, b"x")), 10**6).memory < 3_000_000
    with pytest.raises(TooLargeError, match="takes 1907 MB of memory to decode; at most 1024 MB are allowed"):
        check_size(io.BytesIO(png(50_000, 20_000, b"x")), 10**9)
    tiles = tiff({256: 20_000, 257: 20_000, 322: 1024, 323: 1024, 324: 8, 325: 1})
    assert check_size(io.BytesIO(tiles), 4 * 10**8).memory < 100_000_000


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
            with pytest.raises(InputError):
                check_size(stream, 1000)
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
    answer = server.post("/tasks", data=body, headers=TIFF)
    assert answer.status_code == 400  # it was read, and is no image
    assert "not a TIFF, PNG or JPEG" in answer.json()["message"]


def test_a_request_may_not_take_forever(serve, encode) -> None:
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


def test_a_task_is_deleted_though_no_further_upload_is_taken(serve, encode, monkeypatch) -> None:
    server = serve(max_requests=1)
    image = encode(np.zeros((8, 8), np.uint8))
    place = server.post("/tasks", data=image, headers={"Content-Type": "image/png"}).headers["location"]
    held, release = threading.Event(), threading.Event()
    predict = server.predictor.predict

    def hold(*given, **named):
        held.set()
        release.wait(60)
        return predict(*given, **named)

    monkeypatch.setattr(server.predictor, "predict", hold)
    asking = threading.Thread(target=server.predict, args=(image,))
    asking.start()
    try:
        assert held.wait(60)
        assert server.post("/tasks", data=image, headers={"Content-Type": "image/png"}).status_code == 503
        assert requests.delete(server.url + place, timeout=60).status_code == 204
        assert server.get(place).status_code == 404
    finally:
        release.set()
        asking.join()
