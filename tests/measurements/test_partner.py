import re

import pytest

from nucseg.core.errors import InputError
from nucseg.measurements.partner import check_pattern, partner_of


@pytest.mark.parametrize(
    "image, pattern, partner",
    [
        ("A01_DAPI.tif", "*_GFP.tif", "A01_GFP.tif"),
        ("A01_DAPI.ome.tif", "*_GFP.tif", "A01_GFP.tif"),
        ("A1_DAPI.tif", "*_GFP.tif", "A1_GFP.tif"),
        ("A01_s2_w1.TIF", "*w2.TIF", "A01_s2_w2.TIF"),
        ("imgDAPI.tif", "*GFP.tif", "imgGFP.tif"),
        ("DAPI_A01.tif", "GFP_*.tif", "GFP_A01.tif"),
        ("p1_DAPI_raw.tif", "p1_*_raw.png", None),
        ("A01-ch00.tif", "../green/*-ch01.tif", "../green/A01-ch01.tif"),
        ("r01c01f01-ch1.tiff", "*-ch2.tiff", "r01c01f01-ch2.tiff"),
        # A field whose own file is missing does not take that of another.
        ("A10_DAPI.tif", "*_GFP.tif", None),
        ("A01_s2_DAPI.tif", "*_GFP.tif", None),
        ("B_A01.tif", "GFP_*.tif", "GFP_A01.tif"),
        ("DAPI_x_A01.tif", "GFP_*.tif", None),
        ("DAPI_f01.tif", "GFP_*.tif", None),
        ("A01_GFP.tif", "*_GFP.tif", None),
    ],
)
def test_the_file_of_the_same_field(tmp_path, image, pattern, partner):
    folder = tmp_path / "dapi"
    (tmp_path / "green").mkdir()
    folder.mkdir()
    there = ["A01_GFP.tif", "A1_GFP.tif", "A01_s2_w2.TIF", "imgGFP.tif", "GFP_A01.tif", "GFP_1.tif", "GFP_01.tif"]
    for name in [*there, "r01c01f01-ch2.tiff", "../green/A01-ch01.tif"]:
        (folder / name).write_bytes(b"")
    url = f"{folder}/{image}"
    if partner:
        assert partner_of(url, pattern) == f"{folder}/{partner}"
        assert partner_of(url, f"{folder}/{pattern}") == f"{folder}/{partner}"
    else:
        with pytest.raises(InputError, match=f"{re.escape(url)}: no file matches {re.escape(pattern)}"):
            partner_of(url, pattern)


@pytest.mark.parametrize("pattern", ["GFP.tif", "*_*.tif", "*/GFP.tif", "*/*.tif", "?_*.tif"])
def test_a_pattern_has_one_star_in_the_name(pattern):
    with pytest.raises(ValueError, match=r"must have one `\*`"):
        check_pattern(pattern)
