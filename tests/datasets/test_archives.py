import errno
import hashlib
import io
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nucseg.core.errors import DownloadError, StorageError
from nucseg.datasets import archives as archives_module
from nucseg.datasets import bbbc038
from nucseg.datasets.archives import fetch_archive
from nucseg.datasets.sources import ArchiveSource

REMEDY = "data_download.bbbc038.url=<path>"


def zip_bytes(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def good(bbbc038_zip: Path) -> bytes:
    return bbbc038_zip.read_bytes()


def fetch(url: str, folder: Path, sha256: str | None = None) -> Path:
    return fetch_archive(bbbc038.INFO, bbbc038.ARCHIVE, ArchiveSource(url=url, sha256=sha256), folder)


def test_fetches_once(server: Any, good: bytes, tmp_path: Path) -> None:
    server.body = good
    digest = hashlib.sha256(good).hexdigest()

    archive = fetch(server.url, tmp_path, digest)
    again = fetch(server.url, tmp_path, digest)

    assert archive == again == tmp_path / "stage1_train.zip"
    assert archive.read_bytes() == good
    assert len(server.requests) == 1
    assert files_in(tmp_path) == ["stage1_train.zip", "stage1_train.zip.json"]


def test_without_a_checksum_records_it_and_fetches_once(server: Any, good: bytes, tmp_path: Path) -> None:
    server.body = good

    fetch(server.url, tmp_path)
    fetch(server.url, tmp_path)

    record = json.loads((tmp_path / "stage1_train.zip.json").read_text())
    assert record == {"url": server.url, "sha256": hashlib.sha256(good).hexdigest()}
    assert len(server.requests) == 1


def test_refuses_another_archive_than_recorded(server: Any, good: bytes, s_bsst265_zip: Path, tmp_path: Path) -> None:
    server.body = good
    fetch(server.url, tmp_path).unlink()
    server.body = s_bsst265_zip.read_bytes()

    with pytest.raises(DownloadError, match=r"recorded at first use.*delete .*stage1_train\.zip\.json"):
        fetch(server.url, tmp_path)


def test_fetches_a_damaged_archive_again(server: Any, good: bytes, tmp_path: Path) -> None:
    server.body = good
    archive = fetch(server.url, tmp_path)
    archive.write_bytes(good[:-10])

    assert fetch(server.url, tmp_path).read_bytes() == good
    assert len(server.requests) == 2


def test_fetches_again_from_another_url(server: Any, good: bytes, tmp_path: Path) -> None:
    server.body = good
    fetch(server.url, tmp_path)

    fetch(server.url + "?other", tmp_path)

    assert len(server.requests) == 2


def test_an_unreadable_record_is_recreated(server: Any, good: bytes, tmp_path: Path) -> None:
    server.body = good
    (tmp_path / "stage1_train.zip.json").write_text("{")

    fetch(server.url, tmp_path)

    assert json.loads((tmp_path / "stage1_train.zip.json").read_text())["url"] == server.url


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_copies_an_archive_from_disk(prefix: str, bbbc038_zip: Path, good: bytes, tmp_path: Path) -> None:
    archive = fetch(f"{prefix}{bbbc038_zip}", tmp_path)

    assert archive.read_bytes() == good
    assert bbbc038_zip.is_file()


def test_takes_a_relative_path(bbbc038_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bbbc038_zip.parent)

    assert fetch(bbbc038_zip.name, tmp_path).is_file()


def test_a_second_run_needs_the_archive_on_disk_no_more(bbbc038_zip: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(bbbc038_zip, tmp_path / "mine.zip"))
    fetch(str(source), tmp_path / "raw")
    source.unlink()

    assert fetch(str(source), tmp_path / "raw").is_file()


def test_an_archive_on_disk_that_changed_is_noticed(bbbc038_zip: Path, s_bsst265_zip: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(bbbc038_zip, tmp_path / "mine.zip"))
    fetch(str(source), tmp_path / "raw")
    shutil.copy(s_bsst265_zip, source)

    with pytest.raises(DownloadError, match="recorded at first use"):
        fetch(str(source), tmp_path / "raw")


def test_no_such_file_on_disk(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"no file .*missing\.zip.*Correct data_download\.bbbc038\.url"):
        fetch(str(tmp_path / "missing.zip"), tmp_path / "raw")


def test_an_unreadable_file_on_disk(bbbc038_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(DownloadError, match="is not readable"):
        fetch(str(bbbc038_zip), tmp_path)


def bomb() -> bytes:
    return zip_bytes({"a/images/a.png": b"x", "a/masks/a.png": bytes(200 * 2**20)})


def corrupt() -> bytes:
    content = bytearray(zip_bytes({"a/images/a.png": os.urandom(4096), "a/masks/b.png": b"x"}))
    content[2048] ^= 0xFF
    return bytes(content)


@pytest.mark.parametrize(
    "body, message",
    [
        (
            lambda: zip_bytes({"../evil.png": b"x"}),
            r"'\.\./evil\.png', which would be unpacked outside .* use the official",
        ),
        (lambda: zip_bytes({"a/../../evil.png": b"x"}), "which would be unpacked outside"),
        (lambda: zip_bytes({"/etc/evil.png": b"x"}), r"'/etc/evil\.png', which would be unpacked outside"),
        (lambda: zip_bytes({"C:\\evil.png": b"x"}), "which would be unpacked outside"),
        (lambda: zip_bytes({"..\\evil.png": b"x"}), "which would be unpacked outside"),
        (bomb, r"unpacks from 0\.2 MiB to 200 MiB; .* zip bomb"),
        (lambda: zip_bytes({"readme.txt": b"x"}), r"no entry matches .*images.*masks.*check the address against https"),
        (lambda: zip_bytes({"a/images/a.png": b"x"}), "no entry matches [^ ]*masks"),
        (lambda: zip_bytes({}), "it is empty"),
        (lambda: b"<html>Sign in</html>", "is not a complete zip archive.*check the URL"),
        (lambda: b"", "is not a complete zip archive"),
        (corrupt, "corrupt .*Fetch it again|not a complete zip"),
    ],
)
def test_refuses_a_bad_archive_and_keeps_nothing(
    body: Any, message: str, server: Any, good: bytes, tmp_path: Path
) -> None:
    server.body = body()

    with pytest.raises(DownloadError, match=message):
        fetch(server.url, tmp_path)

    assert files_in(tmp_path) == []
    server.body = good
    assert fetch(server.url, tmp_path).read_bytes() == good


def test_refuses_an_archive_above_the_datasets_size(server: Any, good: bytes, tmp_path: Path) -> None:
    server.body = good
    with pytest.raises(DownloadError, match="zip bomb"):
        fetch_archive(
            bbbc038.INFO,
            replace(bbbc038.ARCHIVE, max_unpacked_bytes=1000),
            ArchiveSource(url=server.url),
            tmp_path,
        )


def test_truncated_body(server: Any, good: bytes, tmp_path: Path) -> None:
    server.body, server.announced_length = good[: len(good) // 2], len(good)

    with pytest.raises(DownloadError, match=f"was interrupted .*Nothing was kept; run again.*{REMEDY}"):
        fetch(server.url, tmp_path)

    assert files_in(tmp_path) == []
    server.body, server.announced_length = good, None
    assert fetch(server.url, tmp_path).read_bytes() == good


def test_truncated_body_of_unannounced_length(server: Any, good: bytes, tmp_path: Path) -> None:
    server.body = good[: len(good) // 2]

    with pytest.raises(DownloadError, match=r"not a complete zip archive.*interrupted"):
        fetch(server.url, tmp_path)

    assert files_in(tmp_path) == []


def test_wrong_checksum(server: Any, good: bytes, tmp_path: Path) -> None:
    server.body = good

    with pytest.raises(DownloadError, match=f"sha256 {hashlib.sha256(good).hexdigest()}; expected was {'0' * 64}"):
        fetch(server.url, tmp_path, "0" * 64)

    assert files_in(tmp_path) == []


@pytest.mark.parametrize("status", [404, 403, 500])
def test_http_error(status: int, server: Any, tmp_path: Path) -> None:
    server.status = status

    with pytest.raises(DownloadError, match=rf"refused the file \({status} .*Check the address .*{REMEDY}"):
        fetch(server.url, tmp_path)

    assert files_in(tmp_path) == []


@pytest.mark.parametrize("host", ["closed", "unknown"])
def test_no_network(host: str, closed_url: str, tmp_path: Path) -> None:
    url = closed_url if host == "closed" else "http://nobody.invalid/stage1_train.zip"

    with pytest.raises(DownloadError, match=rf"no connection to {url}.*Check the network and the proxy.*{REMEDY}"):
        fetch(url, tmp_path)

    assert files_in(tmp_path) == []


def test_a_failure_leaves_the_older_archive(server: Any, good: bytes, tmp_path: Path) -> None:
    server.body = good
    fetch(server.url, tmp_path)
    before = files_in(tmp_path)
    server.status = 404

    with pytest.raises(DownloadError):
        fetch(server.url + "?new", tmp_path)

    assert files_in(tmp_path) == before
    assert (tmp_path / "stage1_train.zip").read_bytes() == good


@pytest.mark.parametrize(
    "number, message",
    [(errno.ENOSPC, "the disk is full; free space"), (errno.EROFS, "the disk is read-only; choose another folder")],
)
@pytest.mark.parametrize("moment", ["fetching", "renaming"])
def test_full_or_read_only_disk(
    number: int,
    message: str,
    moment: str,
    server: Any,
    good: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.body = good

    def fail(*args: Any, **_: Any) -> None:
        if moment == "fetching":
            Path(args[-1]).write_bytes(good[:100])  # some of it was written when the disk became full
        raise OSError(number, os.strerror(number))

    place = (archives_module, "_fetch") if moment == "fetching" else (os, "replace")
    with monkeypatch.context() as patch:
        patch.setattr(*place, fail)
        with pytest.raises(StorageError, match=message):
            fetch(server.url, tmp_path)

    assert files_in(tmp_path) == []
    assert fetch(server.url, tmp_path).read_bytes() == good
