"""One model's part of the report, and where the models of a report differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from PIL import Image

from nucseg.core.types import Sample
from nucseg.images.io import read_image
from nucseg.reporting.config import ImageChoice
from nucseg.reporting.html import Differences
from nucseg.reporting.page import ModelReport
from nucseg.reporting.selection import choose_differences, image_keys
from nucseg.tasks.base import Task


@dataclass(frozen=True)
class Section:
    """One model's part of the report.

    Attributes:
        report: What the page shows.
        draw: Draws truth and prediction of any test image, by its key.
    """

    report: ModelReport
    draw: Callable[[str], Image.Image]


def image_drawer(
    task: Task,
    prediction: Callable[[str], Any],
    samples: Sequence[Sample],
    per_image: pd.DataFrame,
    config: ImageChoice,
) -> Callable[[str], Image.Image]:
    """Return the function that draws truth and prediction of one image, by its key.

    Args:
        task: The task of the model.
        prediction: Returns the prediction for an image, by its key.
        samples: The images.
        per_image: Scores of each image.
        config: How it is drawn.
    """
    by_key = {sample.key: sample for sample in samples}
    rows = per_image.set_index(image_keys(per_image))

    def draw(key: str) -> Image.Image:
        facts = {str(name): fact for name, fact in rows.loc[key].items()}
        sample = by_key[key]
        return task.draw(read_image(sample.image_path), task.read_truth(sample), prediction(key), facts, config)

    return draw


def draw_differences(sections: Sequence[Section], config: ImageChoice) -> tuple[dict[str, Image.Image], Differences]:
    """Draw each model's prediction for the images on which they differ most.

    Args:
        sections: The models.
        config: The number of images.

    Returns:
        Pictures by `<model>/<dataset>/<image_id>`, and what the report shows of them.
    """
    by_model = {section.report.metrics["model"]: section for section in sections}
    choices = choose_differences({model: section.report.per_image for model, section in by_model.items()}, config)
    drawn = {choice.key: {model: section.draw(choice.key) for model, section in by_model.items()} for choice in choices}
    pictures = {f"{model}/{key}": picture for key, models in drawn.items() for model, picture in models.items()}
    return pictures, Differences(choices, drawn)
