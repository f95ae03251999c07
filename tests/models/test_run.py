import json

import pytest

from nucseg.core.errors import ModelError
from nucseg.models.run import earlier_run, images_seen


def test_images_of_the_earlier_model_count_too():
    first = {"splits": {"train": ["a/1", "a/2"], "val": ["a/3"]}}
    second = {"splits": {"train": ["b/1", "a/1"]}, "pretrained_run": first}
    third = {"splits": {"val": ["c/1"]}, "pretrained_run": second}
    assert images_seen(third) == {"train": {"a/1", "a/2", "b/1"}, "val": {"a/3", "c/1"}}
    assert images_seen({}) == images_seen(None) == {}


def test_the_record_of_a_pretrained_model(tmp_path):
    assert earlier_run(None) is None
    assert earlier_run("2D_versatile_fluo") is None
    assert earlier_run(str(tmp_path)) is None
    (tmp_path / "run.json").write_text(json.dumps({"seed": 42}))
    assert earlier_run(str(tmp_path)) == {"seed": 42}
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ModelError, match=r"run\.json: damaged"):
        earlier_run(str(tmp_path))
