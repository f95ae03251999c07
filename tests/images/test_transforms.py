import json

import pytest
from pydantic import TypeAdapter

from nucseg.core.errors import ConfigError
from nucseg.images.transforms import (
    Normalize,
    Rescale,
    Standardize,
    ToGrayscale,
    ToRGB,
    Transforms,
    parse_transforms,
)


def test_a_list_as_yaml_holds_it_becomes_typed_in_the_same_order():
    listed = [
        {"name": "to_grayscale"},
        {"name": "rescale", "factor": 0.5},
        {"name": "normalize", "pmin": 2, "axis": "channel"},
        {"name": "to_rgb"},
    ]
    assert parse_transforms(listed) == (
        ToGrayscale(),
        Rescale(factor=0.5),
        Normalize(pmin=2, axis="channel"),
        ToRGB(),
    )
    assert parse_transforms([]) == ()


def test_the_rule_for_labels_in_an_older_model_folder_is_skipped():
    assert parse_transforms([{"name": "fill_label_holes"}, {"name": "normalize"}]) == (Normalize(),)


def test_transforms_survive_json():
    transforms = (Normalize(pmax=99.9, min_range=0.1), Rescale(magnification=20), Standardize())
    stored = json.dumps([transform.model_dump() for transform in transforms])
    assert parse_transforms(json.loads(stored)) == transforms
    assert TypeAdapter(Transforms).validate_python(json.loads(stored)) == transforms


@pytest.mark.parametrize(
    "listed, message",
    [
        ([{"name": "normalise"}], "transform 0 is called 'normalise'; allowed are 'normalize', 'rescale'"),
        ([{"pmin": 1}], r"0: Unable to extract tag .*'name'"),
        (["normalize"], r"0: .*dictionary.*given: 'normalize'"),
        ([{"name": "to_rgb"}, {"name": "normalize", "pmn": 1}], r"1\.normalize\.pmn: .*given: 1"),
        ([{"name": "normalize", "pmin": -1}], r"0\.normalize\.pmin: .*greater than or equal to 0 \(given: -1\)"),
        ([{"name": "normalize", "pmax": 101}], "less than or equal to 100"),
        ([{"name": "normalize", "pmin": 60, "pmax": 50}], r"pmin \(60\.0\) must be below pmax \(50\.0\)"),
        ([{"name": "normalize", "axis": "pixel"}], "'image' or 'channel'"),
        ([{"name": "standardize", "std": (0.2, 0.0, 0.2)}], r"0\.standardize\.std\.1: .*greater than 0"),
        ([{"name": "standardize", "mean": [0.5]}], r"0\.standardize\.mean"),
        ([{"name": "rescale"}], "exactly one of factor and magnification"),
        ([{"name": "rescale", "factor": 1, "magnification": 20}], "exactly one of factor and magnification"),
        ([{"name": "rescale", "factor": 0}], r"0\.rescale\.factor"),
        ([{"name": "rescale", "magnification": 0}], r"0\.rescale\.magnification"),
        ([{"name": "to_rgb"}, {"name": "to_rgb"}], "'to_rgb' is listed more than once"),
        ([{"name": "a"}, {"name": "b"}], "called 'a'.*called 'b'"),
    ],
)
def test_what_is_wrong_is_named(listed, message):
    with pytest.raises(ConfigError, match=message):
        parse_transforms(listed)
