"""Property tests against other implementations: stardist.matching, faster-coco-eval, and slow obvious loops."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucseg.core.types import Instances
from nucseg.metrics.instances.coco_ap import coco_average_precision, matched_ious
from nucseg.metrics.instances.counts import count, pool
from nucseg.metrics.instances.matching import THRESHOLDS, match
from nucseg.metrics.instances.outcome import outcome
from nucseg.metrics.instances.overlap import overlaps
from nucseg.metrics.instances.scores import ap_key, pooled_scores


@st.composite
def label_pairs(draw, gaps=True):
    """Truth and a prediction that resembles it: small enough for exact ties (IoU 0.5, 0.6, ...) to be common."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 8)))
    highest = draw(st.integers(0, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = rng.integers(0, highest + 1, shape)
    if draw(st.booleans()):  # nuclei of several pixels: runs along the rows
        truth = np.sort(truth, axis=1)
    noise = rng.random(shape) < draw(st.sampled_from([0, 0.2, 0.5, 1]))
    pred = np.where(noise, rng.integers(0, draw(st.integers(0, 5)) + 1, shape), rng.permutation(6)[truth])
    if gaps:
        numbers = np.concatenate([[0], np.sort(rng.choice(np.arange(1, 10**6), 6, replace=False))])
        return numbers[truth].astype(np.int32), numbers[::-1][pred].astype(np.int32)
    return truth.astype(np.int32), np.unique(pred, return_inverse=True)[1].reshape(shape).astype(np.int32)


def masks(labels):
    return {int(label): labels == label for label in np.unique(labels) if label}


def slow_iou(a, b):
    return (a & b).sum() / (a | b).sum()


@given(label_pairs())
def test_overlaps_equal_those_of_masks(pair):
    truth, pred = pair
    found = overlaps(truth, pred)
    true_masks, pred_masks = masks(truth), masks(pred)
    assert found.true_labels.tolist() == list(true_masks)
    assert found.pred_labels.tolist() == list(pred_masks)
    assert found.true_areas.tolist() == [mask.sum() for mask in true_masks.values()]
    assert found.pred_areas.tolist() == [mask.sum() for mask in pred_masks.values()]
    got = {
        (int(t), int(p)): (int(n), float(iou))
        for t, p, n, iou in zip(
            found.true_labels[found.true_index],
            found.pred_labels[found.pred_index],
            found.intersection,
            found.iou,
            strict=True,
        )
    }
    expected = {
        (t, p): ((a & b).sum(), slow_iou(a, b))
        for (t, a), (p, b) in itertools.product(true_masks.items(), pred_masks.items())
        if (a & b).any()
    }
    assert got == expected


@given(label_pairs(), st.lists(st.sampled_from([0.0, 0.3, 0.7]), min_size=6, max_size=6))
def test_a_match_is_one_to_one_and_as_large_as_any(pair, scores):
    def largest(edges):
        """Try each edge with and without."""
        if not edges:
            return 0
        (t, p), *rest = edges
        return max(largest(rest), 1 + largest([(t2, p2) for t2, p2 in rest if t2 != t and p2 != p]))

    found = overlaps(*pair)
    for threshold in (0.5, 0.55, 0.6, 2 / 3, 0.75, 1):
        for priority in (None, np.array(scores)[: len(found.pred_labels)]):
            matches = match(found, threshold, priority)
            assert len(set(matches.true_index)) == len(set(matches.pred_index)) == len(matches.iou)
            for t, p, iou in zip(matches.true_index, matches.pred_index, matches.iou, strict=True):
                a, b = pair[0] == found.true_labels[t], pair[1] == found.pred_labels[p]
                assert iou == slow_iou(a, b) >= threshold
            good = found.iou >= threshold
            edges = list(zip(found.true_index[good], found.pred_index[good], strict=True))
            assert len(matches.iou) == largest(edges)


@settings(deadline=None)  # the first call compiles
@given(label_pairs())
def test_image_scores_equal_stardist(pair):
    stardist = pytest.importorskip("stardist.matching")
    counts = count(overlaps(*pair))
    scores = pooled_scores(counts)
    for threshold, tp in zip(THRESHOLDS, counts.tp, strict=True):
        theirs = stardist.matching(*pair, thresh=threshold)
        assert (tp, counts.n_pred - tp, counts.n_true - tp) == (theirs.tp, theirs.fp, theirs.fn)
        assert (scores[ap_key(threshold)] or 0) == theirs.accuracy
    theirs = stardist.matching(*pair, thresh=0.5)
    for ours, name in (("f1_50", "f1"), ("precision_50", "precision"), ("recall_50", "recall")):
        assert (scores[ours] or 0) == pytest.approx(getattr(theirs, name))
    assert (scores["iou"] or 0) == pytest.approx(theirs.mean_matched_score, abs=1e-6)  # theirs is float32
    assert (scores["pq"] or 0) == pytest.approx(theirs.panoptic_quality, abs=1e-6)


@settings(deadline=None)  # the first call compiles
@given(st.lists(label_pairs(), min_size=1, max_size=4))
def test_pooled_scores_equal_stardist(pairs):
    stardist = pytest.importorskip("stardist.matching")
    scores = pooled_scores(pool(count(overlaps(*pair)) for pair in pairs))
    theirs = stardist.matching_dataset(*zip(*pairs, strict=True), thresh=THRESHOLDS, show_progress=False)
    for threshold, stats in zip(THRESHOLDS, theirs, strict=True):
        assert (scores[ap_key(threshold)] or 0) == pytest.approx(stats.accuracy)
    ap = {round(100 * stats.thresh): stats.accuracy for stats in theirs}
    assert (scores["ap_mean_50_90"] or 0) == pytest.approx(np.mean([ap[t] for t in (50, 60, 70, 80, 90)]))
    assert (scores["f1_50"] or 0) == pytest.approx(theirs[0].f1)
    assert (scores["iou"] or 0) == pytest.approx(theirs[0].mean_matched_score, abs=1e-6)
    assert (scores["pq"] or 0) == pytest.approx(theirs[0].panoptic_quality, abs=1e-6)


@given(st.lists(label_pairs(), min_size=1, max_size=3))
def test_aji_and_dice_equal_the_slow_definition(pairs):
    intersection = union = common = area = 0
    for truth, pred in pairs:
        pred_masks = masks(pred)
        used = set()
        for a in masks(truth).values():
            ious = {label: slow_iou(a, b) for label, b in pred_masks.items() if (a & b).any()}
            best = max(ious, key=lambda label: (ious[label], -label), default=None)
            if best is None:
                union += a.sum()
                continue
            intersection += (a & pred_masks[best]).sum()
            union += (a | pred_masks[best]).sum()
            used.add(best)
        union += sum(b.sum() for label, b in pred_masks.items() if label not in used)
        common += ((truth > 0) & (pred > 0)).sum()
        area += (truth > 0).sum() + (pred > 0).sum()
    scores = pooled_scores(pool(count(overlaps(*pair)) for pair in pairs))
    assert scores["aji"] == (pytest.approx(intersection / union) if union else None)
    assert scores["dice"] == (pytest.approx(2 * common / area) if area else None)


@given(label_pairs(gaps=False), st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6), st.floats(0, 1, width=32))
def test_leaving_out_predictions_equals_never_having_drawn_them(pair, scores, threshold):
    truth, pred = pair
    candidates = Instances(pred, np.array(scores[: pred.max()], np.float32))
    subset = overlaps(truth, pred).where_pred(candidates.scores >= threshold)
    direct = overlaps(truth, candidates.above(threshold).labels)
    assert subset.pred_labels.tolist() == (1 + np.flatnonzero(candidates.scores >= threshold)).tolist()
    for name in ("true_labels", "true_areas", "pred_areas", "true_index", "pred_index", "intersection"):
        assert getattr(subset, name).tolist() == getattr(direct, name).tolist()


@given(label_pairs())
def test_outcome_equals_the_slow_definition(pair):
    true_masks, pred_masks = (masks(labels) for labels in pair)
    found = overlaps(*pair)
    matches = match(found)

    def mostly(part, whole):
        return 2 * (part & whole).sum() > part.sum()

    covered = {p: {t for t, a in true_masks.items() if mostly(a, b)} for p, b in pred_masks.items()}
    pieces = {t: {p for p, b in pred_masks.items() if mostly(b, a)} for t, a in true_masks.items()}
    merged = {p for p, truths in covered.items() if len(truths) > 1}
    split = {t for t, preds in pieces.items() if len(preds) > 1}
    explained_true = split.union(*(covered[p] for p in merged), found.true_labels[matches.true_index].tolist())
    explained_pred = merged.union(*(pieces[t] for t in split), found.pred_labels[matches.pred_index].tolist())

    got = outcome(found)
    assert got.merged.tolist() == sorted(merged)
    assert got.split.tolist() == sorted(split)
    assert got.missed.tolist() == sorted(true_masks.keys() - explained_true)
    assert got.extra.tolist() == sorted(pred_masks.keys() - explained_pred)


def coco_oracle(images, max_dets):
    """COCO mask AP of (truth, pred, scores) of several images, by faster-coco-eval."""
    faster_coco_eval = pytest.importorskip("faster_coco_eval")
    from faster_coco_eval.core import mask

    def annotations(image_id, labels):
        for m in masks(labels).values():
            rle = mask.encode(np.asfortranarray(m, dtype=np.uint8))
            yield {"image_id": image_id, "category_id": 1, "segmentation": rle, "area": int(m.sum())}

    truth, results = [], []
    for image_id, (true_labels, pred_labels, scores) in enumerate(images, start=1):
        box = {"iscrowd": 0, "bbox": [0, 0, 1, 1]}
        truth += [a | box | {"id": len(truth) + i} for i, a in enumerate(annotations(image_id, true_labels), start=1)]
        results += [
            a | {"score": float(score)} for a, score in zip(annotations(image_id, pred_labels), scores, strict=True)
        ]
    coco = faster_coco_eval.COCO(
        {
            "images": [
                {"id": i, "height": labels.shape[0], "width": labels.shape[1]}
                for i, (labels, _, _) in enumerate(images, start=1)
            ],
            "annotations": truth,
            "categories": [{"id": 1, "name": "nucleus"}],
        }
    )
    evaluation = faster_coco_eval.COCOeval_faster(coco, coco.loadRes(results), iouType="segm")
    np.testing.assert_allclose(evaluation.params.iouThrs, THRESHOLDS, rtol=1e-15)
    evaluation.params.maxDets = [1, 100, max_dets]
    evaluation.evaluate()
    evaluation.accumulate()
    all_sizes = evaluation.eval["precision"].reshape(10, 101, 1, -1, 3)[:, :, 0, 0, -1]
    return None if (all_sizes < 0).all() else all_sizes.mean()


def coco_ap(images):
    found = [overlaps(truth, pred) for truth, pred, _ in images]
    return coco_average_precision(
        np.concatenate([scores for _, _, scores in images]),
        np.concatenate([matched_ious(f, scores) for f, (_, _, scores) in zip(found, images, strict=True)]),
        sum(len(f.true_labels) for f in found),
    )


@settings(deadline=None)
@given(st.lists(label_pairs(gaps=False), min_size=1, max_size=4), st.data())
def test_coco_ap_equals_faster_coco_eval(pairs, data):
    # Few different scores: many ties, within an image and between images.
    one = st.one_of(st.sampled_from([0.25, 0.5, 0.75]), st.floats(0, 1, width=32))
    images = [
        (truth, pred, np.array(data.draw(st.lists(one, min_size=n, max_size=n)), np.float32))
        for truth, pred in pairs
        for n in [int(pred.max())]
    ]
    if not any(len(scores) for _, _, scores in images):
        assert coco_ap(images) == (0 if any(truth.any() for truth, _, _ in images) else None)
        return
    assert coco_ap(images) == pytest.approx(coco_oracle(images, max_dets=1000), abs=1e-12)


def test_coco_ap_of_a_thousand_nuclei_equals_faster_coco_eval():
    rng = np.random.default_rng(0)
    truth = np.kron(np.arange(1, 1025, dtype=np.int32).reshape(32, 32), np.pad(np.ones((6, 6), np.int32), (1, 1)))
    moved = np.roll(truth, 1, axis=0)
    pred = np.where(rng.random(1025)[truth] < 0.5, truth, moved)
    pred = np.unique(pred, return_inverse=True)[1].reshape(truth.shape).astype(np.int32)
    scores = rng.random(pred.max()).astype(np.float32)
    assert coco_ap([(truth, pred, scores)]) == pytest.approx(
        coco_oracle([(truth, pred, scores)], max_dets=2000), abs=1e-12
    )
    assert coco_ap([(truth, truth, np.ones(1024, np.float32))]) == 1
