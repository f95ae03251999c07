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
from nucseg.reporting.html import Differences, ModelReport, render_report
from nucseg.reporting.overlay import draw_overlay, rasterize
from nucseg.reporting.selection import choose_differences, choose_images, image_keys

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
    for choice in choose_images(per_image, config):
        yield {choice.key: _picture(choice.key, by_key, per_image, candidates, config)}


def draw_differences(
    config: VisualizationConfig, samples: list[Sample], *parts: Any
) -> tuple[dict[str, Image.Image], dict[str, Image.Image]]:
    """Draw what each model made of the test images on which they differ most.

    Args:
        config: How many images.
        samples: The manifest.
        *parts: For each model in turn: metrics (for its name), scores of each image and candidates.

    Returns:
        Pictures by `<model>/<dataset>/<image_id>`, none where the models do not differ: to be kept, and for the report
        (Kedro cannot load a folder that is empty).
    """
    by_key = {sample.key: sample for sample in samples}
    tables = {metrics["model"]: per_image for metrics, per_image in zip(parts[::3], parts[1::3], strict=True)}
    pictures = {
        f"{model}/{choice.key}": _picture(choice.key, by_key, per_image, candidates, config)
        for choice in choose_differences(tables, config)
        for (model, per_image), candidates in zip(tables.items(), parts[2::3], strict=True)
    }
    return pictures, pictures


def report(config: VisualizationConfig, *parts: Any) -> str:
    """Write the page that shows all models side by side.

    Args:
        config: Which images are shown.
        *parts: For each model in turn: metrics, scores of each image, run record, sizes and pictures; where there are
            several models, the pictures of `draw_differences` after them.

    Returns:
        The page.
    """
    models = []
    differing: dict[str, Image.Image] | None = None
    if len(parts) % 5:
        *parts, differing = parts  # type: ignore[assignment]  # a list is as good as a tuple
    for place in range(0, len(parts), 5):
        metrics, per_image, run, sizes, pictures = parts[place : place + 5]
        choices = choose_images(per_image, config)
        shown = {choice.key: pictures[choice.key]() for choice in choices}
        models.append(ModelReport(metrics, per_image, run, choices, shown, sizes))
    return render_report(models, datetime.now().astimezone(), _differences(models, differing, config))


def _differences(
    models: list[ModelReport], pictures: dict[str, Image.Image] | None, config: VisualizationConfig
) -> Differences | None:
    if pictures is None:
        return None
    tables = {model.metrics["model"]: model.per_image for model in models}
    choices = choose_differences(tables, config)
    shown = {choice.key: {model: pictures[f"{model}/{choice.key}"] for model in tables} for choice in choices}
    return Differences(choices, shown)


def _picture(
    key: str,
    samples: dict[str, Sample],
    per_image: pd.DataFrame,
    candidates: LazyRecords,
    config: VisualizationConfig,
) -> Image.Image:
    """Draw truth and prediction of one image."""
    facts = {str(name): fact for name, fact in per_image[image_keys(per_image) == key].iloc[0].items()}
    instances, threshold = candidates_from_record(candidates[key]())
    image, truth = read_image(samples[key].image_path), read_labels(samples[key].label_path)
    return rasterize(draw_overlay(image, truth, instances.above(threshold).labels, facts, config.stretch))
