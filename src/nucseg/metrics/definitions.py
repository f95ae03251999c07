"""What each number in `metrics.json` means, one sentence a key; the file carries them."""

from nucseg.metrics.matching import THRESHOLDS
from nucseg.metrics.scores import ap_key

_AP = (
    "TP / (TP + FP + FN) at IoU >= {t:.2f} (the AP of StarDist and Cellpose; not an area under a curve), "
    "from counts pooled over images."
)

DEFINITIONS: dict[str, str] = {
    "n_images": "Number of images.",
    "n_true": "Number of true nuclei, summed over images.",
    "n_pred": "Number of predicted nuclei at the model's score threshold, summed over images.",
    "f1_50": (
        "2 TP / (2 TP + FP + FN) from counts pooled over images, where TP are the pairs of a one-to-one matching with "
        "as many pairs of IoU >= 0.50 as possible (Kaggle's rule is IoU > t), FP the unmatched predictions and FN the "
        "unmatched true nuclei."
    ),
    "precision_50": "TP / (TP + FP) at IoU >= 0.50, from counts pooled over images.",
    "recall_50": "TP / (TP + FN) at IoU >= 0.50, from counts pooled over images.",
    **{ap_key(t): _AP.format(t=t) for t in THRESHOLDS},
    "ap_mean_50_90": "Mean of ap_50, ap_60, ap_70, ap_80 and ap_90, each from counts pooled over images.",
    "ap_mean_50_90_per_image": (
        "Mean over images (per image, not pooled) of the image's own mean of TP / (TP + FP + FN) at IoU >= 0.50, 0.60, "
        "0.70, 0.80 and 0.90; an image with neither true nor predicted nuclei counts as 1."
    ),
    "dsb2018_score": (
        "Mean over images (per image, not pooled) of the mean over t = 0.50, 0.55, ..., 0.95 of TP / (TP + FP + FN) at "
        "IoU >= t, the score of the Data Science Bowl 2018 (Kaggle's rule is IoU > t); an image with neither true nor "
        "predicted nuclei counts as 1."
    ),
    "iou": "Mean IoU of the pairs matched at IoU >= 0.50, pooled: over all pairs of all images.",
    "jaccard_50": (
        "TP / (TP + FP + FN) at IoU >= 0.50, from counts pooled over images; the same number as ap_50, under the name "
        "of the Jaccard index of the sets of true and predicted nuclei."
    ),
    "map": (
        "COCO mask AP, pooled: all predictions of all images down to the lowest score kept, ranked together and "
        "matched greedily by score, precision averaged over 101 recalls and over IoU >= 0.50, 0.55, ..., 0.95, without "
        "a limit on the number of detections."
    ),
    "aji": (
        "Aggregated Jaccard index (Kumar et al. 2017), pooled: each true nucleus is taken with the prediction of "
        "highest IoU, and their intersections, summed over all images, are divided by the sum of their unions and of "
        "the areas of the predictions that no true nucleus took."
    ),
    "pq": (
        "Panoptic quality (Kirillov et al. 2019), pooled: the IoUs of all pairs matched at IoU >= 0.50 in all images, "
        "summed and divided by TP + FP / 2 + FN / 2."
    ),
    "dice": (
        "Foreground Dice, pooled over the pixels of all images: twice the pixels that are in a true and in a predicted "
        "nucleus, divided by the pixels in true plus the pixels in predicted nuclei."
    ),
}
