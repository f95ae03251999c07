import json

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from kaggle_masks import kaggle_decode
from nucseg.core.types import Instances
from nucseg.reporting.instances.exports import coco_results, submission_rows


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
