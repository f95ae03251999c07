import pytest

from nucseg.images.units import micrometres


@pytest.mark.parametrize(
    "spelt, expected",
    [
        ("um UM \u00b5m \u03bcm \\u00B5m \u00c2\u00b5m micron Microns micrometer micrometers Micrometre \u00b5", 1.0),
        ("nm nanometer nanometres NM", 1e-3),
        ("\u00c5 \u212b angstrom Angstroms \u00c5ngstr\u00f6m", 1e-4),
        ("pm picometer", 1e-6),
        ("mm millimeter MM", 1e3),
        ("cm centimetre", 1e4),
        ("m meter metres", 1e6),
        ("in inch inches", 25400.0),
        ("mil thou", 25.4),
        ("pixel pixels px None", 0.0),
    ],
)
def test_every_spelling_of_a_unit(spelt, expected):
    assert [micrometres(each) for each in spelt.split()] == [expected] * len(spelt.split())


def test_no_unit_and_an_unknown_one():
    assert micrometres(None) == micrometres("") == micrometres("reference frame") == 0.0
    assert micrometres("furlong") is None
    assert micrometres("s") is None
