"""What the report needs: of a model, and of a task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from nucseg.models.run import RunRecord
from nucseg.reporting.selection import Choice


@dataclass(frozen=True)
class ModelReport:
    """What the report needs of one model.

    Attributes:
        metrics: `metrics.json`.
        per_image: `per_image.csv`.
        run: `run.json`.
        kind: The kind of model, or None if it is not known.
        choices: The images to show, in order.
        pictures: Key `<dataset>/<image_id>` -> the picture that the task drew.
        sizes: Rows of `size_rows` over the test images, or None to leave the size histograms out.
        classified: Class and probability of every test patch, or None to leave the curves out.
        confusion: Pixels of each pair of true and predicted class, or None to leave the matrix out.
        reliability: Share of right pixels by their probability, or None to leave the curve out.
    """

    metrics: Mapping[str, Any]
    per_image: pd.DataFrame
    run: RunRecord
    kind: str | None = None
    choices: Sequence[Choice] = ()
    pictures: Mapping[str, Image.Image] = field(default_factory=dict)
    sizes: pd.DataFrame | None = None
    classified: pd.DataFrame | None = None
    confusion: pd.DataFrame | None = None
    reliability: pd.DataFrame | None = None


@dataclass(frozen=True)
class ChartSection:
    """A section of charts.

    Attributes:
        name: Of the section within the page's addresses.
        link: Its name in the list of sections.
        title: Its heading.
        text: What it shows, one or two sentences.
        alt: What a chart shows, for those who do not see it; its title follows.
        figures: Title -> chart.
    """

    name: str
    link: str
    title: str
    text: str
    alt: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Page:
    """What the report of a task says beside scores.

    Attributes:
        title: What stands before the names of the models, such as `Nuclei found by`.
        unit: What is counted, such as `nuclei`.
        key_scores: Keys of `metrics.json` that a table with one row a group shows.
        image_scores: Keys of `per_image.csv` that stand below a picture.
        colours: Kind of error, whose number is the column `n_<kind>` -> its colour in the pictures.
        legend: How a picture is read: what stands before and behind the list of colours.
        charts: Draws the sections of charts that compare the models.
    """

    title: str
    unit: str
    key_scores: tuple[str, ...]
    image_scores: tuple[str, ...]
    colours: Mapping[str, str]
    legend: tuple[str, str]
    charts: Callable[[Sequence[ModelReport]], list[ChartSection]]
