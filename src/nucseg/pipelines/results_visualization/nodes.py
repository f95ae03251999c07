"""Nodes of results_visualization."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pandas as pd
from PIL import Image

from nucseg.core.types import Sample
from nucseg.images.io import read_image, read_labels
from nucseg.masks.candidates import candidates_from_record
from nucseg.reporting.config import VisualizationConfig
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
) -> tuple[dict[str, Image.Image], Differences]:
    """Draw what each model made of the test images on which they differ most.

    Args:
        config: How many images.
        samples: The manifest.
        *parts: For each model in turn: metrics (for its name), scores of each image and candidates.

    Returns:
        Pictures by `<model>/<dataset>/<image_id>`, and what the report shows of them (Kedro cannot load a folder that
        is empty): nothing where the models do not differ, or where there is only one.
    """
    by_key = {sample.key: sample for sample in samples}
    tables = {metrics["model"]: per_image for metrics, per_image in zip(parts[::3], parts[1::3], strict=True)}
    choices = choose_differences(tables, config)
    drawn = {
        choice.key: {
            model: _picture(choice.key, by_key, per_image, candidates, config)
            for (model, per_image), candidates in zip(tables.items(), parts[2::3], strict=True)
        }
        for choice in choices
    }
    pictures = {f"{model}/{key}": picture for key, models in drawn.items() for model, picture in models.items()}
    return pictures, Differences(choices, drawn)


def report(config: VisualizationConfig, differences: Differences, *parts: Any) -> str:
    """Write the page that shows all models side by side.

    Args:
        config: Which images are shown.
        differences: From `draw_differences`.
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
    return render_report(models, datetime.now().astimezone(), differences)


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
