"""Nodes of results_visualization."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pandas as pd
from PIL import Image

from nucseg.core.types import Sample
from nucseg.images.io import read_image, read_labels
from nucseg.reporting.config import VisualizationConfig
from nucseg.reporting.exports import candidates_from_record
from nucseg.reporting.html import ModelReport, render_report
from nucseg.reporting.overlay import draw_overlay, rasterize
from nucseg.reporting.selection import choose_images, image_keys

LazyRecords = dict[str, Callable[[], dict[str, Any]]]
LazyPictures = dict[str, Callable[[], Image.Image]]


def draw(
    candidates: LazyRecords, samples: list[Sample], per_image: pd.DataFrame, config: VisualizationConfig
) -> Iterator[dict[str, Image.Image]]:
    """Draw truth and prediction of the chosen test images, one at a time.

    Args:
        candidates: Candidates of each test image.
        samples: The manifest.
        per_image: Scores of each test image.
        config: Which images to draw.

    Yields:
        Picture by `<dataset>/<image_id>`.
    """
    by_key = {sample.key: sample for sample in samples}
    facts = dict(zip(image_keys(per_image), per_image.to_dict("records"), strict=True))
    for choice in choose_images(per_image, config):
        sample = by_key[choice.key]
        instances, threshold = candidates_from_record(candidates[choice.key]())
        figure = draw_overlay(
            read_image(sample.image_path),
            read_labels(sample.label_path),
            instances.above(threshold).labels,
            facts[choice.key],
            config.stretch,
        )
        yield {choice.key: rasterize(figure)}


def report(config: VisualizationConfig, *parts: Any) -> str:
    """Write the page that shows all models side by side.

    Args:
        config: Which images are shown.
        *parts: For each model in turn: metrics, scores of each image, run record, sizes and pictures.

    Returns:
        The page.
    """
    models = []
    for place in range(0, len(parts), 5):
        metrics, per_image, run, sizes, pictures = parts[place : place + 5]
        choices = choose_images(per_image, config)
        shown = {choice.key: pictures[choice.key]() for choice in choices}
        models.append(ModelReport(metrics, per_image, run, choices, shown, sizes))
    return render_report(models, datetime.now().astimezone())
