import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.core.types import VOID, ClassPrediction
from nucseg.metrics.semantic.config import SemanticEvaluationConfig
from nucseg.metrics.semantic.counts import Hits
from nucseg.metrics.semantic.evaluator import SemanticEvaluator
from nucseg.metrics.semantic.scores import boundary_f1

CLASSES = ("background", "cat", "dog", "bird")


def shares(truth, predicted):
    """Compute IoU and Dice of each class that is there as sets of pixels."""
    found = {}
    for number in range(4):
        one, two = set(np.flatnonzero(truth == number)), set(np.flatnonzero(predicted == number))
        if one | two:
            found[number] = len(one & two) / len(one | two), 2 * len(one & two) / (len(one) + len(two))
    return found


def images(make_sample, n=4):
    rng = np.random.default_rng(3)
    for number in range(n):
        truth = rng.choice([0, 1, 2, VOID], (12, 10))  # no bird
        predicted = np.where(rng.random(truth.shape) < 0.3, 0, np.where(truth == VOID, 3, truth))
        confidence = rng.integers(80, 256, truth.shape)
        sample = make_sample(f"{number}.tif", f"{number}l.tif", image_id=str(number), split="test")
        yield sample, truth, ClassPrediction(predicted.astype(np.uint8), confidence.astype(np.uint8))


@pytest.fixture
def evaluator(make_sample):
    evaluator = SemanticEvaluator("mine", CLASSES, SemanticEvaluationConfig(bootstrap=200))
    for image in images(make_sample):
        evaluator.update(*image)
    return evaluator


def test_scores_are_those_of_sets_of_pixels(evaluator, make_sample):
    pairs = [(truth[truth != VOID], found.classes[truth != VOID]) for _, truth, found in images(make_sample)]
    truth, predicted = (np.concatenate(each) for each in zip(*pairs, strict=True))
    overall = evaluator.result()["overall"]
    iou, dice = zip(*shares(truth, predicted).values(), strict=True)
    assert overall["mean_iou"] == pytest.approx(np.mean(iou))
    assert [overall[f"iou_{name}"] for name in CLASSES[:3]] == pytest.approx(iou)
    assert overall["iou_bird"] is None  # neither true nor predicted, but where it is void
    assert overall["mean_dice"] == pytest.approx(np.mean(dice))
    assert overall["pixel_accuracy"] == pytest.approx((truth == predicted).mean())
    assert overall["n_pixels"] == len(truth)
    per_image = [np.mean([iou for iou, _ in shares(*pair).values()]) for pair in pairs]
    assert overall["mean_iou_per_image"] == pytest.approx(np.mean(per_image))
    assert evaluator.per_image["mean_iou"].tolist() == pytest.approx(per_image)
    assert overall["mean_iou_low"] < overall["mean_iou"] < overall["mean_iou_high"]


def test_keys_have_rows(evaluator):
    result = evaluator.result()
    assert [row["key"] for row in result["metrics"]] == list(result["overall"])
    assert result["by"]["dataset"]


def test_tables(evaluator, make_sample):
    confusion = evaluator.confusion
    assert confusion["pixels"].sum() == evaluator.result()["overall"]["n_pixels"]
    assert len(confusion) == 16
    reliability = evaluator.reliability
    assert reliability["pixels"].sum() == confusion["pixels"].sum()
    right = sum((t == f.classes)[t != VOID].sum() for _, t, f in images(make_sample))
    assert (reliability["right"] * reliability["pixels"]).sum() == pytest.approx(right)
    assert (reliability["probability"] >= 80 / 255).all()


def test_the_order_of_the_images_does_not_matter(evaluator, make_sample):
    other = SemanticEvaluator("mine", CLASSES, SemanticEvaluationConfig(bootstrap=200))
    for image in reversed(list(images(make_sample))):
        other.update(*image)
    assert other.result() == evaluator.result()


def test_a_truth_of_more_classes_than_the_model_has(make_sample):
    evaluator = SemanticEvaluator("mine", CLASSES[:2], SemanticEvaluationConfig())
    found = ClassPrediction(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8))
    with pytest.raises(InputError, match=r"has the class 20, but mine has 2 classes \(background, cat\)"):
        evaluator.update(make_sample("a.tif", "b.tif"), np.array([[0, 20], [VOID, 1]]), found)
    with pytest.raises(InputError, match="the truth has shape"):
        evaluator.update(make_sample("a.tif", "b.tif"), np.zeros((2, 3), int), found)


def test_boundary_f1():
    assert boundary_f1(Hits(10, 5, 4, 4)) == pytest.approx(2 / 3)
    assert boundary_f1(Hits(0, 0, 4, 0)) == 0
    assert boundary_f1(Hits(0, 0, 0, 0)) is None
