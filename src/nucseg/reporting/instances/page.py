"""What the report of instances says beside scores."""

from collections.abc import Sequence

from nucseg.reporting.instances.curves import ap_figures, recall_figure, size_figures
from nucseg.reporting.instances.overlay import COLOURS
from nucseg.reporting.page import ChartSection, ModelReport, Page
from nucseg.reporting.tables import COUNTS, KEY_SCORES


def _charts(models: Sequence[ModelReport]) -> list[ChartSection]:
    sizes = {model.metrics["model"]: model.sizes for model in models if model.sizes is not None}
    recall = recall_figure([model.metrics for model in models])
    return [
        ChartSection(
            "thresholds",
            "AP over threshold",
            "AP over the IoU threshold",
            "How AP = TP / (TP + FP + FN), pooled, falls as a match must overlap better. A high start says that the "
            "nuclei are found; a slow fall says that their outlines fit.",
            "AP over the IoU threshold, {title}; the values are in the tables of scores.",
            ap_figures([model.metrics for model in models]),
        ),
        ChartSection(
            "sizes",
            "Sizes",
            "Sizes of the nuclei",
            "True and predicted nuclei of the test images by diameter. Where a line leaves the grey ground, a model "
            "loses or invents nuclei of that size, merges them (too many large) or splits them (too many small).",
            "Histogram of the diameters of true and predicted nuclei, {title}.",
            size_figures(sizes),
        ),
        ChartSection(
            "recall",
            "Recall by diameter",
            "Recall by diameter",
            "Share of the true nuclei of all test images that are found (IoU 0.50), by the diameter of the circle of "
            "equal area. Where the line falls, nuclei of that size are missed, merged or split.",
            "Recall over the diameter of the nuclei, {title}.",
            {"all test images": recall} if recall else {},
        ),
    ]


NUCLEI = Page(
    title="Nuclei found by",
    unit="nuclei",
    key_scores=(*COUNTS, *KEY_SCORES),
    image_scores=("n_true", "n_pred", *KEY_SCORES, "iou", "dice"),
    colours=COLOURS,
    legend=(
        "Left the ground truth, right the prediction. Outlines:",
        "A merged prediction covers most of two or more true nuclei; a split nucleus holds most of two or more "
        "predictions.",
    ),
    charts=_charts,
)
