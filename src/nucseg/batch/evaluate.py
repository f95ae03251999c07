"""Models measured side by side on images whose nuclei are outlined."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from tqdm import tqdm

from nucseg.core.errors import ConfigError, InputError
from nucseg.core.files import atomic_files
from nucseg.core.types import Sample
from nucseg.datasets.paired import pair_images
from nucseg.models.bundle import ModelBundle
from nucseg.models.registry import folder_task, kind_of
from nucseg.params import EvaluationConfig
from nucseg.reporting.config import VisualizationConfig
from nucseg.reporting.html import render_report
from nucseg.reporting.page import ModelReport
from nucseg.reporting.selection import choose_images
from nucseg.reporting.tracked import log_models
from nucseg.tasks import instances
from nucseg.tasks.sections import Section, draw_differences, image_drawer

REPORT = "report.html"
_EVALUATION = EvaluationConfig()
_PICTURES = VisualizationConfig()


@dataclass(frozen=True)
class Evaluated:
    """What came of an evaluation.

    Attributes:
        metrics: The content of `metrics.json` of each model, in the order of the models.
        per_image: The content of `per_image.csv` of each model, by its name.
        rejected: Why images were left out, by name.
    """

    metrics: list[dict[str, Any]]
    per_image: dict[str, pd.DataFrame]
    rejected: dict[str, str]


@dataclass(frozen=True)
class Result:
    """One model's scores and predictions.

    Attributes:
        metrics: The content of `metrics.json`.
        per_image: Scores of each image.
        sizes: Diameters of true and predicted nuclei.
        predictions: What was found in each image, by its key.
    """

    metrics: dict[str, Any]
    per_image: pd.DataFrame
    sizes: pd.DataFrame
    predictions: Mapping[str, instances.Prediction]


def evaluate_models(models: Mapping[str, Path], images: Path, labels: Path, output: Path) -> Evaluated:
    """Measure models on the same images, and write the report that shows them side by side.

    Args:
        models: Folder of each model, by the name that it has in the report.
        images: Folder of the images.
        labels: Folder of their nuclei; see `pair_images`.
        output: Gets `report.html`, and of each model `<name>/metrics.json` and `<name>/per_image.csv`.

    Raises:
        ConfigError: There is a report already.
        InputError: A model does not find nuclei, or no image can be used.
        ModelError: A model is damaged.
        StorageError: The results cannot be written.
    """
    check_report(output)
    for name, folder in models.items():
        if folder_task(folder) not in (None, "instance_segmentation"):  # loading says what is damaged
            raise InputError(f"model {name}: does not find nuclei, so it cannot be evaluated on outlined nuclei.")
    with TemporaryDirectory() as temporary:
        paired = pair_images(images, labels, Path(temporary))
        samples = paired.samples
        bundles = {name: replace(ModelBundle.load(folder), name=name) for name, folder in models.items()}
        results = {name: evaluated(name, samples, predictions_of(bundle, samples)) for name, bundle in bundles.items()}
        write_report(bundles, results, samples, output)
    tables = {name: result.per_image for name, result in results.items()}
    return Evaluated([result.metrics for result in results.values()], tables, paired.rejected)


def check_report(output: Path) -> None:
    """Refuse a folder that has a report.

    Raises:
        ConfigError: It has one.
    """
    if (output / REPORT).exists():
        raise ConfigError(f"{output / REPORT}: exists; choose another folder for the results (-o).")


def predictions_of(bundle: ModelBundle, samples: Sequence[Sample]) -> dict[str, instances.Prediction]:
    """Find the nuclei of images with a model, by key."""
    predict = instances.predictor(bundle, _EVALUATION)
    return {sample.key: predict(sample) for sample in tqdm(samples, desc=bundle.name, unit="image")}


def evaluated(name: str, samples: Sequence[Sample], predictions: Mapping[str, instances.Prediction]) -> Result:
    """Measure predictions.

    Args:
        name: Name of the model.
        samples: The images, all of the test split.
        predictions: From `predictions_of`.
    """
    triples = ((sample, instances.read_truth(sample), predictions[sample.key]) for sample in samples)
    return Result(*instances.evaluate(name, triples, _EVALUATION), predictions)


def write_report(
    models: Mapping[str, ModelBundle], results: Mapping[str, Result], samples: Sequence[Sample], output: Path
) -> None:
    """Write the report of some models, and the scores of each.

    Args:
        models: Each model, by its name.
        results: From `evaluated`, by the same names.
        samples: The images.
        output: As of `evaluate_models`.

    Raises:
        StorageError: They cannot be written.
    """
    sections = [_section(result, models[name], samples) for name, result in results.items()]
    _, differences = draw_differences(sections, _PICTURES)
    reports = [section.report for section in sections]
    page = render_report(reports, datetime.now().astimezone(), differences, instances.PAGE)
    tables = [f"{name}/{file}" for name in models for file in ("metrics.json", "per_image.csv")]
    with atomic_files(output, [REPORT, *tables]) as folder:
        (folder / REPORT).write_text(page, "utf-8")
        for name, result in results.items():
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "metrics.json").write_text(json.dumps(result.metrics, indent=2, allow_nan=False))
            result.per_image.to_csv(folder / name / "per_image.csv", index=False)


def log_results(models: Mapping[str, Path], output: Path) -> None:
    """Log models, and what `write_report` wrote of them, where runs are logged; see `log_models`.

    Args:
        models: Folder of each model, by its name in the report.
        output: As of `write_report`.
    """
    log_models(models, [output / REPORT], {name: output / name / "metrics.json" for name in models})


def _section(result: Result, model: ModelBundle, samples: Sequence[Sample]) -> Section:
    draw = image_drawer(instances, result.predictions.__getitem__, samples, result.per_image, _PICTURES)
    choices = choose_images(result.per_image, _PICTURES)
    shown = {choice.key: draw(choice.key) for choice in choices}
    kind = kind_of(model.model)
    report = ModelReport(result.metrics, result.per_image, model.run, kind, choices, shown, sizes=result.sizes)
    return Section(report, draw)
