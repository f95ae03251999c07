"""Nodes of results_visualization."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pandas as pd
from PIL import Image

from nucseg.core.types import Sample
from nucseg.models.run import RunRecord
from nucseg.reporting.config import ImageChoice
from nucseg.reporting.html import Differences, render_report
from nucseg.reporting.page import ModelReport
from nucseg.reporting.selection import choose_images
from nucseg.tasks.base import Task
from nucseg.tasks.sections import Section, draw_differences, image_drawer

LazyRecords = dict[str, Callable[[], dict[str, Any]]]
LazyPictures = dict[str, Callable[[], Image.Image]]


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
        draw_image = _drawer(task, candidates, samples, per_image, config)
        for choice in choose_images(per_image, config):
            yield {choice.key: draw_image(choice.key)}

    return draw


def sectioner(task: Task, kind: str) -> Callable[..., Section]:
    """Create the node function that collects the part of the report of one model of a kind."""

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
        report = ModelReport(metrics, per_image, RunRecord.model_validate(run), kind, choices, shown, **further)
        return Section(report, _drawer(task, candidates, samples, per_image, config))

    return section


def difference_drawer(task: Task) -> Callable[..., tuple[dict[str, Image.Image], Differences]]:
    """Create the node function that draws where the models of a task differ."""

    def differences(config: Any, *sections: Section) -> tuple[dict[str, Image.Image], Differences]:
        """Draw each model's prediction for the test images on which they differ most.

        Args:
            config: The number of images: what becomes a `VISUALIZATION` of the task.
            *sections: The models.

        Returns:
            Pictures by `<model>/<dataset>/<image_id>`, and what the report shows of them (Kedro cannot load a folder
            that is empty): nothing where the models do not differ, or where there is only one.
        """
        return draw_differences(sections, task.VISUALIZATION.model_validate(config))

    return differences


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


def _drawer(
    task: Task, candidates: LazyRecords, samples: list[Sample], per_image: pd.DataFrame, config: ImageChoice
) -> Callable[[str], Image.Image]:
    return image_drawer(task, lambda key: task.from_record(candidates[key]()), samples, per_image, config)
