"""The metrics of instance segmentation: one row per key of `metrics.json`, which carries them."""

from nucseg.metrics.instances.matching import THRESHOLDS
from nucseg.metrics.instances.scores import ap_key
from nucseg.metrics.intervals import interval_metrics
from nucseg.metrics.table import Metric

_AP = (
    "TP / (TP + FP + FN) at IoU >= {t:.2f} (the AP of StarDist and Cellpose; not an area under a curve), "
    "from counts pooled over images."
)

METRICS: tuple[Metric, ...] = (
    Metric("n_images", "Images", "Images", "count", "Number of images."),
    Metric("n_true", "True nuclei", "True", "count", "Number of true nuclei, summed over images."),
    Metric(
        "n_pred",
        "Predicted nuclei",
        "Found",
        "count",
        "Number of predicted nuclei at the model's score threshold, summed over images.",
    ),
    Metric(
        "f1_50",
        "F1 at IoU 0.50",
        "F1",
        "pooled",
        "2 TP / (2 TP + FP + FN) from counts pooled over images, where TP are the pairs of a one-to-one matching with "
        "as many pairs of IoU >= 0.50 as possible (Kaggle's rule is IoU > t), FP the unmatched predictions and FN the "
        "unmatched true nuclei.",
    ),
    Metric(
        "precision_50",
        "Precision at IoU 0.50",
        "Precision",
        "pooled",
        "TP / (TP + FP) at IoU >= 0.50, from counts pooled over images.",
    ),
    Metric(
        "recall_50",
        "Recall at IoU 0.50",
        "Recall",
        "pooled",
        "TP / (TP + FN) at IoU >= 0.50, from counts pooled over images.",
    ),
    *(Metric(ap_key(t), f"AP at IoU {t:.2f}", f"AP {round(100 * t)}", "pooled", _AP.format(t=t)) for t in THRESHOLDS),
    Metric(
        "ap_mean_50_90",
        "Mean AP 0.50-0.90",
        "AP 50-90",
        "pooled",
        "Mean of ap_50, ap_60, ap_70, ap_80 and ap_90, each from counts pooled over images.",
    ),
    Metric(
        "ap_mean_50_90_per_image",
        "Mean AP 0.50-0.90",
        "AP 50-90",
        "per image",
        "Mean over images (per image, not pooled) of the image's own mean of TP / (TP + FP + FN) at IoU >= 0.50, 0.60, "
        "0.70, 0.80 and 0.90; an image with neither true nor predicted nuclei counts as 1.",
    ),
    Metric(
        "dsb2018_score",
        "DSB2018 (Kaggle) score",
        "DSB2018",
        "per image",
        "Mean over images (per image, not pooled) of the mean over t = 0.50, 0.55, ..., 0.95 of TP / (TP + FP + FN) at "
        "IoU >= t, the score of the Data Science Bowl 2018 (Kaggle's rule is IoU > t); an image with neither true nor "
        "predicted nuclei counts as 1.",
    ),
    Metric(
        "iou",
        "Mean IoU of matches",
        "IoU",
        "pooled",
        "Mean IoU of the pairs matched at IoU >= 0.50, pooled: over all pairs of all images.",
    ),
    Metric(
        "jaccard_50",
        "Jaccard at IoU 0.50",
        "Jaccard",
        "pooled",
        "TP / (TP + FP + FN) at IoU >= 0.50, from counts pooled over images; the same number as ap_50, under the name "
        "of the Jaccard index of the sets of true and predicted nuclei.",
    ),
    Metric(
        "map",
        "COCO mask mAP",
        "mAP",
        "pooled",
        "COCO mask AP, pooled: all predictions of all images down to the lowest score kept, ranked together and "
        "matched greedily by score, precision averaged over 101 recalls and over IoU >= 0.50, 0.55, ..., 0.95, without "
        "a limit on the number of detections.",
    ),
    Metric(
        "aji",
        "Aggregated Jaccard (AJI)",
        "AJI",
        "pooled",
        "Aggregated Jaccard index (Kumar et al. 2017), pooled: each true nucleus is taken with the prediction of "
        "highest IoU, and their intersections, summed over all images, are divided by the sum of their unions and of "
        "the areas of the predictions that no true nucleus took.",
    ),
    Metric(
        "pq",
        "Panoptic quality (PQ)",
        "PQ",
        "pooled",
        "Panoptic quality (Kirillov et al. 2019), pooled: the IoUs of all pairs matched at IoU >= 0.50 in all images, "
        "summed and divided by TP + FP / 2 + FN / 2.",
    ),
    Metric(
        "dice",
        "Foreground Dice",
        "Dice",
        "pooled",
        "Foreground Dice, pooled over the pixels of all images: twice the pixels that are in a true and in a predicted "
        "nucleus, divided by the pixels in true plus the pixels in predicted nuclei.",
    ),
)

HEADLINE = ("f1_50", "ap_50", "ap_mean_50_90", "dsb2018_score")
"""The scores that come with an interval."""

INTERVALS = {
    row.key: interval_metrics(row.key, row.label, row.short, row.averaging, row.label)
    for row in METRICS
    if row.key in HEADLINE
}
"""Key of a score -> the rows of the ends of its interval."""
