import tempfile

import pytest

from nucseg.serving.errors import UnavailableError
from nucseg.serving.temporary import check_temporary


def test_a_folder_whose_path_is_too_long_for_sockets_is_reported(tmp_path_factory, monkeypatch) -> None:
    short = tmp_path_factory.mktemp("t")
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    check_temporary()
    long = short / ("a" * 75)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(UnavailableError) as raised:
        check_temporary()
    assert "longer than 75 bytes; set TMPDIR" in raised.value.for_log()
