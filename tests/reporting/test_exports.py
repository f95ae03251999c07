import json
from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from nucseg.core.errors import InputError
from nucseg.core.types import Instances, Sample
from nucseg.masks.rle import kaggle_decode
from nucseg.reporting.exports import (
    candidates_from_record,
    candidates_record,
    coco_results,
    submission_rows,
)

SAMPLE = Sample("a", "set1", "test", "fluorescence", None, None, 6, 5, 1, 2, 2.0, Path("image.tif"), Path("label.tif"))


def instances(seed: int, shape: tuple[int, int] = (12, 17), n: int = 6) -> Instances:
    """Random pixels of `n` labels at most, numbered without gaps: nuclei of many parts and holes."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, n + 1, shape) * generator.integers(0, 2, shape)
    present, labels = np.unique(np.append(labels, 0), return_inverse=True)
    return Instances(labels[:-1].reshape(shape).astype(np.int32), generator.random(len(present) - 1, np.float32))


def test_submission_by_hand():
    labels = np.zeros((6, 5), np.int32)
    labels[1:3, 1] = 1  # column-major, 1-based: pixels 8 and 9
    labels[1:3, 2] = 1  # 14 and 15
    labels[0, 0] = 2
    found = Instances(labels, np.array([0.9, 0.8], np.float32))
    assert submission_rows("a", found) == [
        {"ImageId": "a", "EncodedPixels": "8 2 14 2"},
        {"ImageId": "a", "EncodedPixels": "1 1"},
    ]


def test_submission_has_one_empty_row_for_an_image_without_nuclei():
    assert submission_rows("a", Instances.none((6, 5))) == [{"ImageId": "a", "EncodedPixels": ""}]


@given(st.integers(0, 10_000))
def test_submission_decodes_to_the_prediction(seed):
    found = instances(seed)
    masks = [row["EncodedPixels"] for row in submission_rows("a", found)]
    np.testing.assert_array_equal(kaggle_decode([mask for mask in masks if mask], found.labels.shape), found.labels)


@given(st.integers(0, 10_000))
def test_coco_results_are_what_pycocotools_says(seed):
    found = instances(seed)
    entries = json.loads(json.dumps(coco_results("set1/a", found)))
    assert len(entries) == len(found)
    for label, entry in enumerate(entries, 1):
        np.testing.assert_array_equal(coco_mask.decode(entry["segmentation"]), found.labels == label)
        np.testing.assert_allclose(entry["bbox"], coco_mask.toBbox(entry["segmentation"]))
        assert np.float32(entry["score"]) == found.scores[label - 1]
        assert (entry["image_id"], entry["category_id"]) == ("set1/a", 1)


def test_coco_results_of_a_perfect_prediction_score_1(draw_nuclei):
    _, labels = draw_nuclei((96, 96), 8, 3)
    results = coco_results(1, Instances(labels, np.linspace(0.1, 0.9, 8, dtype=np.float32)))
    truth = [
        {**entry, "id": number, "iscrowd": 0, "area": float(coco_mask.area(entry["segmentation"]))}
        for number, entry in enumerate(coco_results(1, Instances(labels, np.ones(8, np.float32))), 1)
    ]
    image = {"id": 1, "height": 96, "width": 96}
    reference = COCO({"images": [image], "annotations": truth, "categories": [{"id": 1, "name": "nucleus"}]})
    evaluation = COCOeval_faster(reference, reference.loadRes(results), "segm")
    evaluation.run()
    assert evaluation.stats[0] == pytest.approx(1.0)


@given(st.integers(0, 10_000))
def test_candidates_survive_their_record(seed):
    found = instances(seed)
    record = json.loads(json.dumps(candidates_record(SAMPLE, found, 0.4)))
    again, threshold = candidates_from_record(record)
    np.testing.assert_array_equal(again.labels, found.labels)
    np.testing.assert_array_equal(again.scores, found.scores)
    assert (again.labels.dtype, again.scores.dtype, threshold) == (np.int32, np.float32, 0.4)


def test_candidates_of_an_image_without_any():
    again, _ = candidates_from_record(candidates_record(SAMPLE, Instances.none((6, 5)), 0.5))
    assert again.labels.shape == (6, 5)
    assert len(again) == 0


@pytest.mark.parametrize("damage", [{"size": [1]}, {"masks": None}, {"scores": "x"}, {"score_threshold": None}])
def test_damaged_record_is_refused(damage):
    record = candidates_record(SAMPLE, instances(1), 0.5) | damage
    with pytest.raises(InputError, match="record of a is damaged"):
        candidates_from_record(record)


def test_record_without_a_key_is_refused():
    with pytest.raises(InputError, match="damaged"):
        candidates_from_record({})
