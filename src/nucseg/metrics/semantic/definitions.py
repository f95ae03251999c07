"""The metrics of semantic segmentation: one row a key of `metrics.json`, which carries them."""

from collections.abc import Sequence

from nucseg.metrics.intervals import interval_metrics
from nucseg.metrics.table import Metric

_OBJECT = "An object is a connected area of one class other than 0."


_COUNTS = (
    Metric("n_images", "Images", "Images", "count", "Number of images."),
    Metric("n_pixels", "Pixels", "Pixels", "count", "Number of annotated pixels: void is left out of all metrics."),
    Metric("n_true", "True objects", "True", "count", f"Number of objects in the truth. {_OBJECT}"),
    Metric("n_pred", "Predicted objects", "Found", "count", f"Number of objects in the prediction. {_OBJECT}"),
)

_SCORES = (
    Metric(
        "mean_iou",
        "Mean IoU",
        "mIoU",
        "pooled",
        "Mean over the classes that are true or predicted of TP / (TP + FP + FN), in pixels.",
    ),
    *interval_metrics("mean_iou", "Mean IoU", "mIoU", "pooled", "the mean IoU"),
    Metric("mean_iou_per_image", "Mean IoU, per image", "mIoU/image", "per image", "Mean of the images' mean IoU."),
    Metric(
        "mean_dice",
        "Mean Dice",
        "Dice",
        "pooled",
        "Mean over the same classes of 2 TP / (2 TP + FP + FN), in pixels.",
    ),
    *interval_metrics("mean_dice", "Mean Dice", "Dice", "pooled", "the mean Dice"),
    Metric("pixel_accuracy", "Pixel accuracy", "Accuracy", "pooled", "Share of the pixels whose class is right."),
    Metric(
        "boundary_f1",
        "Boundary F1",
        "Boundary F1",
        "pooled",
        "Mean over the classes other than 0 of the F1 of boundary pixels, which are hits within "
        "model_evaluation.boundary_distance pixels of the other boundary.",
    ),
    Metric(
        "object_recall",
        "Object recall",
        "Obj. rec.",
        "pooled",
        f"Share of the true objects of which more than model_evaluation.object_overlap is predicted. {_OBJECT}",
    ),
    Metric(
        "object_precision",
        "Object precision",
        "Obj. prec.",
        "pooled",
        f"Share of the predicted objects of which more than model_evaluation.object_overlap is true. {_OBJECT}",
    ),
)


def metrics_of(classes: Sequence[str]) -> tuple[Metric, ...]:
    """Return the rows of a model with some classes; each class has its own IoU."""
    of_classes = (
        Metric(f"iou_{name}", f"IoU of {name}", f"IoU {name}", "pooled", f"TP / (TP + FP + FN) of {name}, in pixels.")
        for name in classes
    )
    return (*_COUNTS, *_SCORES, *of_classes)
