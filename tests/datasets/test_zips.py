import zipfile
from pathlib import Path

import pytest

from nucseg.core.errors import InputError
from nucseg.datasets.zips import read_entry


def test_reads_an_entry_and_names_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("whole.txt", b"whole")
        archive.writestr("damaged.txt", b"damaged")
    path.write_bytes(path.read_bytes().replace(b"damaged", b"DAMAGED", 2).replace(b"DAMAGED.txt", b"damaged.txt"))

    with zipfile.ZipFile(path) as archive:
        assert read_entry(archive, "whole.txt").read() == b"whole"
        with pytest.raises(InputError, match=r"damaged\.txt: is damaged in the archive"):
            read_entry(archive, "damaged.txt")
