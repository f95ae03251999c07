"""Nodes of results_visualization."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from PIL import Image

from nucseg.core.types import Sample
from nucseg.images.io import read_image
from nucseg.models.run import RunRecord
from nucseg.reporting.config import ImageChoice
from nucseg.reporting.html import Differences, render_report
from nucseg.reporting.page import ModelReport
from nucseg.reporting.selection import choose_differences, choose_images, image_keys
from nucseg.tasks.base import Task

LazyRecords = dict[str, Callable[[], dict[str, Any]]]
LazyPictures = dict[str, Callable[[], Image.Image]]


@dataclass(frozen=True)
class Section:
    """One model's part of the report.

    Attributes:
        report: What the page shows.
        draw: Draws truth and prediction of any test image, by its key.
    """

    report: ModelReport
    draw: Callable[[str], Image.Image]


def drawer(task: Task) -> Callable[..., Iterator[dict[str, Image.Image]]]:
    """Create the node function that draws the chosen test images of one model."""

    def draw(
        candidates: LazyRecords, samples: list[Sample], per_image: pd.DataFrame, config: Any
    ) -> Iterator[dict[str, Image.Image]]:
        """Draw truth and prediction of the chosen test images, one at a time.

        Args:
            candidates: The record of each test image.
            samples: The manifest.
            per_image: Scores of each test image.
            config: Which images to draw: what becomes a `VISUALIZATION` of the task.

        Yields:
            Picture by `<dataset>/<image_id>`.
        """
        config = task.VISUALIZATION.model_validate(config)
        draw_image = _image_drawer(task, candidates, samples, per_image, config)
        for choice in choose_images(per_image, config):
            yield {choice.key: draw_image(choice.key)}

    return draw


def sectioner(task: Task) -> Callable[..., Section]:
    """Create the node function that collects one model's part of the report."""

    def section(
        config: Any,
        samples: list[Sample],
        candidates: LazyRecords,
        overlays: LazyPictures,
        run: dict[str, Any],
        metrics: dict[str, Any],
        per_image: pd.DataFrame,
        *tables: pd.DataFrame,
    ) -> Section:
        """Collect one model's part of the report.

        Args:
            config: Which images are shown: what becomes a `VISUALIZATION` of the task.
            samples: The manifest.
            candidates: The record of each test image.
            overlays: The pictures from `draw`.
            run: The model's run record.
            metrics: The content of `metrics.json`.
            per_image: Scores of each test image.
            *tables: The task's `TABLES`.
        """
        config = task.VISUALIZATION.model_validate(config)
        choices = choose_images(per_image, config)
        shown = {choice.key: overlays[choice.key]() for choice in choices}
        further = dict(zip(task.TABLES, tables, strict=True))
        report = ModelReport(metrics, per_image, RunRecord.model_validate(run), choices, shown, **further)
        return Section(report, _image_drawer(task, candidates, samples, per_image, config))

    return section


def difference_drawer(task: Task) -> Callable[..., tuple[dict[str, Image.Image], Differences]]:
    """Create the node function that draws where the models of a task differ."""

    def draw_differences(config: Any, *sections: Section) -> tuple[dict[str, Image.Image], Differences]:
        """Draw each model's prediction for the test images on which they differ most.

        Args:
            config: The number of images: what becomes a `VISUALIZATION` of the task.
            *sections: The models.

        Returns:
            Pictures by `<model>/<dataset>/<image_id>`, and what the report shows of them (Kedro cannot load a folder
            that is empty): nothing where the models do not differ, or where there is only one.
        """
        return _differences(task.VISUALIZATION.model_validate(config), sections)

    return draw_differences


def _differences(config: ImageChoice, sections: Sequence[Section]) -> tuple[dict[str, Image.Image], Differences]:
    by_model = {section.report.metrics["model"]: section for section in sections}
    choices = choose_differences({model: section.report.per_image for model, section in by_model.items()}, config)
    drawn = {choice.key: {model: section.draw(choice.key) for model, section in by_model.items()} for choice in choices}
    pictures = {f"{model}/{key}": picture for key, models in drawn.items() for model, picture in models.items()}
    return pictures, Differences(choices, drawn)


def reporter(task: Task) -> Callable[..., str]:
    """Create the node function that writes the report of the models of a task."""

    def report(differences: Differences, *sections: Section) -> str:
        """Write the page that shows all models side by side.

        Args:
            differences: From `draw_differences`.
            *sections: The models.

        Returns:
            The page.
        """
        reports = [section.report for section in sections]
        return render_report(reports, datetime.now().astimezone(), differences, task.PAGE)

    return report


def _image_drawer(
    task: Task,
    candidates: LazyRecords,
    samples: list[Sample],
    per_image: pd.DataFrame,
    config: ImageChoice,
) -> Callable[[str], Image.Image]:
    """Return the function that draws truth and prediction of one image, by its key."""
    by_key = {sample.key: sample for sample in samples}
    rows = per_image.set_index(image_keys(per_image))

    def draw(key: str) -> Image.Image:
        facts = {str(name): fact for name, fact in rows.loc[key].items()}
        sample, prediction = by_key[key], task.from_record(candidates[key]())
        return task.draw(read_image(sample.image_path), task.read_truth(sample), prediction, facts, config)

    return draw
