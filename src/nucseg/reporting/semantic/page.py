"""What the report of class maps says beside scores."""

from collections.abc import Sequence

from nucseg.reporting.page import ChartSection, ModelReport, Page
from nucseg.reporting.semantic.charts import confusion_figures, reliability_figure
from nucseg.reporting.semantic.pictures import COLOURS


def _charts(models: Sequence[ModelReport]) -> list[ChartSection]:
    confusion = {model.metrics["model"]: model.confusion for model in models if model.confusion is not None}
    reliability = {model.metrics["model"]: model.reliability for model in models if model.reliability is not None}
    return [
        ChartSection(
            "confusion",
            "Confusion matrix",
            "Confusion matrix",
            "What the pixels of each true class are called: every row adds up to 1. Void pixels are left out.",
            "Share of each true class that is predicted as each class, {title}.",
            confusion_figures(confusion),
        ),
        ChartSection(
            "reliability",
            "Reliability",
            "Reliability",
            "Share of the pixels whose class is right, over the probability that the model gives it. Calibrated "
            "probabilities lie on the dotted line.",
            "Share of right pixels over probability, {title}.",
            {"all test images": reliability_figure(reliability)} if reliability else {},
        ),
    ]


SEMANTIC = Page(
    title="Pixels classified by",
    unit="objects",
    key_scores=(
        *("n_images", "mean_iou", "mean_iou_per_image", "mean_dice"),
        *("pixel_accuracy", "boundary_f1", "object_recall", "object_precision"),
    ),
    image_scores=("mean_iou", "mean_dice", "pixel_accuracy", "boundary_f1", "n_true", "n_pred"),
    colours=COLOURS,
    legend=(
        "Image, truth, prediction and errors, the classes in the colours of Pascal VOC. Objects, and wrong pixels in "
        "the last panel:",
        "Pixels of class 0 that are called another class count as false, all other wrong ones as missed.",
    ),
    charts=_charts,
)
