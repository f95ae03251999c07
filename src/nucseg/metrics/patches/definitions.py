"""The metrics of patch classification: one row a key of `metrics.json`, which carries them."""

from nucseg.metrics.intervals import interval_metrics
from nucseg.metrics.table import Metric

_FIELD = "over fields, where the classifier judges every dark spot and a hit lies within the distance of a true mitosis"

METRICS: tuple[Metric, ...] = (
    Metric("n_images", "Images", "Images", "count", "Number of images."),
    Metric("n_cases", "Cases", "Cases", "count", "Number of patients or slides."),
    Metric("n_patches", "Patches", "Patches", "count", "Number of patches whose class is known."),
    Metric("n_true", "True patches of class 1", "True", "count", "Number of patches of class 1."),
    Metric("n_pred", "Predicted patches of class 1", "Found", "count", "Number of patches from the threshold on."),
    Metric("prevalence", "Prevalence", "Prevalence", "pooled", "Share of the patches that are of class 1."),
    Metric("f1", "F1", "F1", "pooled", "2 TP / (2 TP + FP + FN) of class 1 at the model's threshold."),
    *interval_metrics("f1", "F1", "F1", "pooled", "F1"),
    Metric("precision", "Precision", "Precision", "pooled", "TP / (TP + FP) at the model's threshold."),
    Metric("recall", "Recall", "Recall", "pooled", "TP / (TP + FN) at the model's threshold."),
    Metric(
        "average_precision",
        "Average precision",
        "AP",
        "pooled",
        "Area under the precision-recall curve, the sum of (recall step) x precision, at this prevalence.",
    ),
    *interval_metrics("average_precision", "Average precision", "AP", "pooled", "the average precision"),
    Metric(
        "roc_auc",
        "Area under the ROC curve",
        "ROC AUC",
        "pooled",
        "Probability that a patch of class 1 ranks above one of class 0; ties count half.",
    ),
    Metric(
        "balanced_accuracy",
        "Balanced accuracy",
        "Bal. acc.",
        "pooled",
        "Mean of the recalls of both classes at the model's threshold.",
    ),
    Metric(
        "calibration_error",
        "Calibration error",
        "ECE",
        "pooled",
        "Mean distance of probability and frequency over 10 bins of equal width (expected calibration error).",
    ),
    Metric("n_fields", "Fields", "Fields", "count", "Number of images that are fields of at least 512 pixels a side."),
    Metric("field_f1", "F1 over fields", "Field F1", "pooled", f"2 TP / (2 TP + FP + FN) {_FIELD}."),
    Metric("field_precision", "Precision over fields", "Field prec.", "pooled", f"TP / (TP + FP) {_FIELD}."),
    Metric("field_recall", "Recall over fields", "Field rec.", "pooled", f"TP / (TP + FN) {_FIELD}."),
)
