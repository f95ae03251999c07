"""What the report of classified patches says beside scores."""

from collections.abc import Sequence

from nucseg.reporting.page import ChartSection, ModelReport, Page
from nucseg.reporting.patches.curves import recall_figures, reliability_figures
from nucseg.reporting.patches.pictures import COLOURS


def _charts(models: Sequence[ModelReport]) -> list[ChartSection]:
    tables = {model.metrics["model"]: model.classified for model in models if model.classified is not None}
    return [
        ChartSection(
            "recall",
            "Precision and recall",
            "Precision over recall",
            "How many of the patches that are called class 1 are right, as more are called so. Precision depends on "
            "the prevalence, which stands in the title.",
            "Precision over recall, {title}.",
            recall_figures(tables),
        ),
        ChartSection(
            "reliability",
            "Reliability",
            "Reliability",
            "Share of class 1 among the patches of about the same probability. Calibrated probabilities lie on the "
            "dotted line, at the prevalence that the model was tuned for.",
            "Share of class 1 over the predicted probability, {title}.",
            reliability_figures(tables),
        ),
    ]


PATCHES = Page(
    title="Patches classified by",
    unit="patches of class 1",
    key_scores=(
        *("n_images", "n_cases", "n_patches", "prevalence", "f1", "precision", "recall"),
        *("average_precision", "roc_auc", "balanced_accuracy"),
        *("calibration_error", "n_fields", "field_f1"),
    ),
    image_scores=("n_true", "n_pred"),
    colours=COLOURS,
    legend=(
        "The surest mistakes: patches whose true class has the lowest probability, the worst first. Frames of errors:",
        "Green frames are right about class 1, blue ones about class 0.",
    ),
    charts=_charts,
)
