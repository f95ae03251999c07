"""Models measured side by side on images whose nuclei are outlined."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from PIL import Image
from tqdm import tqdm

from nucseg.core.errors import ConfigError, InputError
from nucseg.core.files import atomic_files
from nucseg.core.types import Sample
from nucseg.datasets.paired import pair_images
from nucseg.images.io import read_image
from nucseg.models.bundle import ModelBundle
from nucseg.models.registry import folder_task
from nucseg.models.run import RunRecord
from nucseg.params import EvaluationConfig
from nucseg.reporting.config import VisualizationConfig
from nucseg.reporting.html import Differences, render_report
from nucseg.reporting.page import ModelReport
from nucseg.reporting.selection import choose_differences, choose_images, image_keys
from nucseg.tasks import instances

REPORT = "report.html"
_EVALUATION = EvaluationConfig()
_PICTURES = VisualizationConfig()


@dataclass(frozen=True)
class Evaluated:
    """What came of an evaluation.

    Attributes:
        metrics: The content of `metrics.json` of each model, in the order of the models.
        rejected: Why images were left out, by name.
        files: What was written.
    """

    metrics: list[dict[str, Any]]
    rejected: dict[str, str]
    files: list[Path]


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
        if folder_task(folder) != "instance_segmentation":
            raise InputError(f"model {name}: does not find nuclei, so it cannot be evaluated on outlined nuclei.")
    with TemporaryDirectory() as temporary:
        samples, rejected = pair_images(images, labels, Path(temporary))
        bundles = {name: replace(ModelBundle.load(folder), name=name) for name, folder in models.items()}
        results = {name: evaluated(name, samples, predictions_of(bundle, samples)) for name, bundle in bundles.items()}
        files = write_report({name: bundle.run for name, bundle in bundles.items()}, results, samples, output)
    return Evaluated([result.metrics for result in results.values()], rejected, files)


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
    runs: Mapping[str, RunRecord], results: Mapping[str, Result], samples: Sequence[Sample], output: Path
) -> list[Path]:
    """Write the report of some models, and the scores of each.

    Args:
        runs: Record of each model, by its name.
        results: From `evaluated`, by the same names.
        samples: The images.
        output: As of `evaluate_models`.

    Returns:
        The files.

    Raises:
        StorageError: They cannot be written.
    """
    page = _page(runs, results, samples)
    tables = [f"{name}/{file}" for name in runs for file in ("metrics.json", "per_image.csv")]
    with atomic_files(output, [REPORT, *tables]) as folder:
        (folder / REPORT).write_text(page, "utf-8")
        for name, result in results.items():
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "metrics.json").write_text(json.dumps(result.metrics, indent=2, allow_nan=False))
            result.per_image.to_csv(folder / name / "per_image.csv", index=False)
    return [output / name for name in (REPORT, *tables)]


def _page(runs: Mapping[str, RunRecord], results: Mapping[str, Result], samples: Sequence[Sample]) -> str:
    by_key = {sample.key: sample for sample in samples}

    def draw(result: Result, key: str) -> Image.Image:
        row = result.per_image.set_index(image_keys(result.per_image)).loc[key]
        facts = {str(column): value for column, value in row.items()}
        sample = by_key[key]
        image, truth = read_image(sample.image_path), instances.read_truth(sample)
        return instances.draw(image, truth, result.predictions[key], facts, _PICTURES)

    reports = []
    for name, result in results.items():
        choices = choose_images(result.per_image, _PICTURES)
        shown = {choice.key: draw(result, choice.key) for choice in choices}
        report = ModelReport(result.metrics, result.per_image, runs[name], choices, shown, sizes=result.sizes)
        reports.append(report)
    choices = choose_differences({name: result.per_image for name, result in results.items()}, _PICTURES)
    pictures = {choice.key: {name: draw(each, choice.key) for name, each in results.items()} for choice in choices}
    return render_report(reports, datetime.now().astimezone(), Differences(choices, pictures), instances.PAGE)
