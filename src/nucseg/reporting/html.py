"""The report: one HTML page that holds everything, opens without a network and can be sent as a file."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jinja2
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from nucseg.core.errors import InputError
from nucseg.core.package import VERSION
from nucseg.metrics.groups import GROUPINGS
from nucseg.metrics.table import Metric
from nucseg.reporting.charts import training_figure
from nucseg.reporting.comparison import paired_differences, parameter_differences
from nucseg.reporting.embed import picture_uri, svg_uri
from nucseg.reporting.instances.page import NUCLEI
from nucseg.reporting.lineage import read_lineage
from nucseg.reporting.page import ChartSection, ModelReport, Page
from nucseg.reporting.selection import Choice, image_keys
from nucseg.reporting.tables import (
    ap_threshold,
    format_score,
    format_with_interval,
    group_table,
    is_end,
    leak_warning,
    metric_rows,
)

DEMO = "demo"
"""Name of the embedded demonstration dataset."""


@dataclass(frozen=True)
class Differences:
    """The images on which the models differ most.

    Attributes:
        choices: In order.
        pictures: Key `<dataset>/<image_id>` -> name of the model -> the picture that `overlay` drew.
    """

    choices: Sequence[Choice] = ()
    pictures: Mapping[str, Mapping[str, Image.Image]] = field(default_factory=dict)


def render_report(
    models: Sequence[ModelReport], created: datetime, differences: Differences | None = None, page: Page = NUCLEI
) -> str:
    """Render the report of one or more models, side by side.

    Args:
        models: At least one, with different names. If every image is from the dataset `demo`, a banner says that this
            is a demonstration.
        created: Date and time shown on the page.
        differences: Images to compare the models on; None leaves the section out.
        page: What the report of the models' task says beside scores.

    Returns:
        The page: valid HTML that contains everything (styles, charts as SVG, pictures as WebP), without scripts;
        nothing is loaded from elsewhere.

    Raises:
        InputError: There is no model, or a chosen image has no row or no picture.
    """
    if not models:
        raise InputError("report: no model has been evaluated; run model_evaluation first.")
    metrics = [model.metrics for model in models]
    datasets = {name: group for model in metrics for name, group in model["by"].get("dataset", {}).items()}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nucseg.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        names=[model["model"] for model in metrics],
        created=created,
        version=VERSION,
        datasets=[(name, group["n_images"], group["n_true"]) for name, group in sorted(datasets.items())],
        demo=bool(datasets) and set(datasets) == {DEMO},
        warnings=[warning for model in models if (warning := leak_warning(model.metrics, model.run))],
        scores=[row for row in _score_rows(metrics) if not _is_detail(row["key"])],
        ap_scores=[row for row in _score_rows(metrics) if ap_threshold(row["key"])],
        groups=[table for by in ("overall", *GROUPINGS) if (table := _group_rows(metrics, by, page))],
        sections=[_section(each) for each in page.charts(models) if each.figures],
        training_charts=_charts({m.metrics["model"]: training_figure(m.run.history) for m in models}),
        paired=_paired(models, page),
        parameters=parameter_differences(
            {model.metrics["model"]: model.run for model in models},
            {model.metrics["model"]: model.kind for model in models},
        ),
        differences=_differences(models, differences or Differences(), page),
        galleries=[{"model": model.metrics["model"], "images": _images(model, page)} for model in models],
        lineages=[(model.metrics["model"], read_lineage(model.run)) for model in models],
        page=page,
        metrics=metric_rows(metrics),
        number=format_score,
    )


def _is_detail(key: str) -> bool:
    """Return whether a key is one of the APs that have a table of their own."""
    threshold = ap_threshold(key)
    return threshold is not None and key not in ("ap_50", "ap_75")


def _score_rows(metrics: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Create the overall table: one row per metric, one value per model; the highest score of several is marked."""
    rows = []
    known_rows = metric_rows(metrics)
    for key, metric in known_rows.items():
        if is_end(key, known_rows):
            continue
        values = [model["overall"].get(key) for model in metrics]
        known = [value for value in values if value is not None]
        compare = metric.averaging != "count" and len(known) > 1
        rows.append(
            {
                "key": key,
                "label": metric.label,
                "averaging": metric.averaging,
                "definition": metric.definition,
                "values": [
                    (format_with_interval(model["overall"], key), compare and value == max(known))
                    for model, value in zip(metrics, values, strict=True)
                ],
            }
        )
    return rows


def _group_rows(metrics: Sequence[Mapping[str, Any]], by: str, page: Page) -> dict[str, Any] | None:
    table = group_table(metrics, by)
    if table.empty:
        return None
    keys = [key for key in page.key_scores if key in table]
    return {
        "title": by.replace("_", " "),
        "keys": keys,
        "n_groups": table["group"].nunique(),
        "rows": [
            {
                "group": row["group"],
                "first": number == 0 or row["group"] != table["group"][number - 1],
                "model": row["model"],
                "values": [format_with_interval(row, key) for key in keys],
            }
            for number, row in enumerate(table.to_dict("records"))
        ],
    }


def _section(section: ChartSection) -> dict[str, Any]:
    return {**vars(section), "charts": _charts(section.figures)}


def _charts(figures: Mapping[str, Figure | None]) -> list[tuple[str, str]]:
    return [(title, svg_uri(figure)) for title, figure in figures.items() if figure is not None]


def _images(model: ModelReport, page: Page) -> list[dict[str, Any]]:
    rows = dict(zip(image_keys(model.per_image), model.per_image.to_dict("records"), strict=True))
    missing = [choice.key for choice in model.choices if choice.key not in rows or choice.key not in model.pictures]
    if missing:
        raise InputError(
            f"report: image {missing[0]} of {model.metrics['model']} was not evaluated or not drawn; "
            "run model_evaluation and results_visualization again."
        )
    names = metric_rows([model.metrics])
    return [_image(choice, rows[choice.key], model.pictures[choice.key], names, page) for choice in model.choices]


def _paired(models: Sequence[ModelReport], page: Page) -> list[dict[str, Any]]:
    """Return a row per pair of models and score."""
    names = metric_rows([model.metrics for model in models])
    scores = [key for key in page.image_scores if key in names and names[key].averaging != "count"]
    tables = {model.metrics["model"]: model.per_image for model in models}
    return [
        {**vars(row), "clear": row.clear, "label": names[row.score].short} for row in paired_differences(tables, scores)
    ]


def _differences(models: Sequence[ModelReport], differences: Differences, page: Page) -> list[dict[str, Any]]:
    """Return each image on which the models differ, with each model's picture of it."""
    rows = {
        model.metrics["model"]: dict(zip(image_keys(model.per_image), model.per_image.to_dict("records"), strict=True))
        for model in models
    }
    names = metric_rows([model.metrics for model in models])
    return [
        {
            "key": choice.key,
            "reason": choice.reason,
            "models": [
                {"model": name, **_image(choice, rows[name][choice.key], picture, names, page)}
                for name, picture in differences.pictures[choice.key].items()
            ],
        }
        for choice in differences.choices
    ]


def _image(
    choice: Choice, row: Mapping[Hashable, Any], picture: Image.Image, names: Mapping[str, Metric], page: Page
) -> dict[str, Any]:
    return {
        "key": choice.key,
        "reason": choice.reason,
        "uri": picture_uri(picture),
        "size": picture.size,
        "facts": [str(row[key]) for key in ("modality", "test_class") if not pd.isna(row.get(key))],
        "scores": [
            (names[key].short, format_score(row[key])) for key in page.image_scores if key in row and key in names
        ],
        "errors": [(kind, row[f"n_{kind}"]) for kind in page.colours if f"n_{kind}" in row],
    }
