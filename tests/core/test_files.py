import errno
import os
import re
import tempfile

import pytest

from nucseg.core.errors import StorageError
from nucseg.core.files import atomic_file, atomic_files, atomic_folder, check_writable


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_with_its_folder_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "deeper" / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(path.parent) == ["a.txt"]


def test_a_failed_write_keeps_the_older_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_replaces_the_older_one_whole(tmp_path):
    path = tmp_path / "model"
    for name in ("first", "second"):
        with atomic_folder(path) as temporary:
            (temporary / name).touch()
    assert names(path) == ["second"]
    assert names(tmp_path) == ["model"]


def test_a_folder_that_another_process_has_written_stays(tmp_path):
    path = tmp_path / "model"
    with atomic_folder(path, keep=True) as temporary:
        (temporary / "second").touch()
        with atomic_folder(path, keep=True) as faster:
            (faster / "first").touch()
    assert names(path) == ["first"]
    assert names(tmp_path) == ["model"]


def test_a_failed_folder_keeps_the_older_one(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()

    def fail():
        with atomic_folder(path) as temporary:
            (temporary / "half").touch()
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert names(path) == ["old"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("atomic", [atomic_file, atomic_folder])
@pytest.mark.parametrize(
    "number, remedy",
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "not permitted"),
        (errno.EPERM, "not permitted"),
        (errno.EFBIG, "takes no larger file"),
    ],
)
def test_storage_errors_name_the_path_the_reason_and_the_remedy(tmp_path, atomic, number, remedy):
    # Simulated, for tests may run as root, whom nothing is forbidden.
    path = tmp_path / "a"

    def fail():
        with atomic(path):
            raise OSError(number, os.strerror(number))

    with pytest.raises(StorageError, match=rf"{path}: .*{remedy}.*MiB free.*run again"):
        fail()
    assert names(tmp_path) == []


@pytest.mark.parametrize("atomic", [atomic_file, atomic_folder])
def test_a_file_where_a_folder_is_needed_is_a_storage_error(tmp_path, atomic):
    (tmp_path / "taken").touch()
    for path in (tmp_path / "taken" / "a", tmp_path / "taken" / "deeper" / "a"):
        with pytest.raises(StorageError, match="a file is in the place of a folder"), atomic(path):
            pass
    assert names(tmp_path) == ["taken"]


@pytest.mark.parametrize("atomic", [atomic_file, atomic_folder])
@pytest.mark.parametrize(
    "number, remedy",
    [
        (errno.ENAMETOOLONG, "the name is too long"),
        (errno.ELOOP, "a link leads back to itself"),
        (errno.ENOENT, "cannot be written (No such file or directory); choose another folder"),
        (errno.EIO, "cannot be written (Input/output error); choose another folder"),
    ],
)
def test_every_error_of_the_path_itself_is_a_storage_error(tmp_path, atomic, number, remedy):
    def fail():
        with atomic(tmp_path / "a"):
            raise OSError(number, os.strerror(number), str(tmp_path / "a"))

    with pytest.raises(StorageError, match=re.escape(f"{tmp_path / 'a'}: {remedy}")):
        fail()


def test_an_error_of_an_unnamed_file_may_be_that_of_an_image(tmp_path):
    def fail():
        with atomic_file(tmp_path / "a"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match="Input/output error"):
        fail()


def test_a_folder_is_tried_without_a_trace(tmp_path):
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "there", tmp_path / "new/deeper", tmp_path / "new/../../out"):
        check_writable(folder)
    assert names(tmp_path) == ["there"]
    assert names(tmp_path / "there") == []


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path, monkeypatch):
    (tmp_path / "taken").touch()
    for folder in (tmp_path / "taken", tmp_path / "taken/deeper"):
        with pytest.raises(StorageError, match=f"{folder}: a file is in the place of a folder"):
            check_writable(folder)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("nothing")
    refused = {
        "n" * 256: "the name is too long",
        "new/" + "n" * 256: "the name is too long",
        "loop/deeper": "a link leads back to itself",
        "link": "cannot be written",
    }
    for name, why in refused.items():
        with pytest.raises(StorageError, match=f"{tmp_path / name}: {why}"):
            check_writable(tmp_path / name)

    def refuse(*args, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "any")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(StorageError, match=f"{tmp_path / 'new'}: writing there is not permitted"):
        check_writable(tmp_path / "new")
    assert names(tmp_path) == ["link", "loop", "taken"]


def test_a_folder_where_a_file_is_to_be_is_a_storage_error(tmp_path):
    (tmp_path / "a").mkdir()

    def fail():
        with atomic_file(tmp_path / "a") as temporary:
            temporary.touch()

    with pytest.raises(StorageError, match="a folder of that name"):
        fail()


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES])
def test_an_error_of_another_file_passes_as_it_is(tmp_path, number):
    def fail():
        with atomic_file(tmp_path / "target" / "a"):
            raise OSError(number, os.strerror(number), str(tmp_path / "source" / "b"))

    with pytest.raises(OSError, match="source"):
        fail()


def test_files_of_a_folder_appear_together(tmp_path):
    with atomic_files(tmp_path / "out", ["a/x::?.txt", "b"]) as folder:
        (folder / "a").mkdir()
        (folder / "a/x::?.txt").write_text("new")
        (folder / "b").mkdir()
        (folder / "b/c").touch()
        assert names(tmp_path / "out") == [folder.parent.name]
    assert names(tmp_path / "out") == ["a", "b"]
    assert (tmp_path / "out/a/x::?.txt").read_text() == "new"
    assert names(tmp_path / "out/b") == ["c"]


@pytest.mark.parametrize("second", ["b", "taken/c", "folder"])
def test_of_files_that_cannot_all_be_written_none_is(tmp_path, second):
    """The second is not written, has no folder, or would replace a folder."""
    (tmp_path / "a").write_text("old")
    (tmp_path / "taken").touch()
    (tmp_path / "folder").mkdir()

    def fail():
        with atomic_files(tmp_path, ["a", second]) as folder:
            (folder / "a").write_text("new")
            if second == "folder":
                (folder / second).touch()

    with pytest.raises((StorageError, FileNotFoundError)):
        fail()
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a", "folder", "taken"]


def test_a_storage_error_of_a_file_among_several_names_its_place(tmp_path):
    def fail():
        with atomic_files(tmp_path, ["a/b"]) as folder, atomic_file(folder / "a" / "b"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match=rf"^{tmp_path / 'a' / 'b'}: the disk is full"):
        fail()
    assert names(tmp_path) == []


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("n" * 251 + ".txt")
    with atomic_file(path) as temporary:
        temporary.touch()
    assert names(tmp_path) == [path.name]
