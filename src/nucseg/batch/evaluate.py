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
class _Result:
    """One model's scores and predictions."""

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
    if (output / REPORT).exists():
        raise ConfigError(f"{output / REPORT}: exists; choose another folder for the results (-o).")
    for name, folder in models.items():
        if folder_task(folder) != "instance_segmentation":
            raise InputError(f"model {name}: does not find nuclei, so it cannot be evaluated on outlined nuclei.")
    with TemporaryDirectory() as temporary:
        samples, rejected = pair_images(images, labels, Path(temporary))
        bundles = {name: replace(ModelBundle.load(folder), name=name) for name, folder in models.items()}
        results = {name: _evaluated(bundle, samples) for name, bundle in bundles.items()}
        page = _page(bundles, results, samples)
    tables = [f"{name}/{file}" for name in models for file in ("metrics.json", "per_image.csv")]
    with atomic_files(output, [REPORT, *tables]) as folder:
        (folder / REPORT).write_text(page, "utf-8")
        for name, result in results.items():
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "metrics.json").write_text(json.dumps(result.metrics, indent=2, allow_nan=False))
            result.per_image.to_csv(folder / name / "per_image.csv", index=False)
    files = [output / name for name in (REPORT, *tables)]
    return Evaluated([result.metrics for result in results.values()], rejected, files)


def _evaluated(bundle: ModelBundle, samples: Sequence[Sample]) -> _Result:
    predict = instances.predictor(bundle, _EVALUATION)
    predictions = {sample.key: predict(sample) for sample in tqdm(samples, desc=bundle.name, unit="image")}
    triples = ((sample, instances.read_truth(sample), predictions[sample.key]) for sample in samples)
    return _Result(*instances.evaluate(bundle.name, triples, _EVALUATION), predictions)


def _page(bundles: Mapping[str, ModelBundle], results: Mapping[str, _Result], samples: Sequence[Sample]) -> str:
    by_key = {sample.key: sample for sample in samples}

    def draw(result: _Result, key: str) -> Image.Image:
        row = result.per_image.set_index(image_keys(result.per_image)).loc[key]
        facts = {str(column): value for column, value in row.items()}
        sample = by_key[key]
        image, truth = read_image(sample.image_path), instances.read_truth(sample)
        return instances.draw(image, truth, result.predictions[key], facts, _PICTURES)

    reports = []
    for name, result in results.items():
        choices = choose_images(result.per_image, _PICTURES)
        shown = {choice.key: draw(result, choice.key) for choice in choices}
        report = ModelReport(result.metrics, result.per_image, bundles[name].run, choices, shown, sizes=result.sizes)
        reports.append(report)
    choices = choose_differences({name: result.per_image for name, result in results.items()}, _PICTURES)
    pictures = {choice.key: {name: draw(each, choice.key) for name, each in results.items()} for choice in choices}
    return render_report(reports, datetime.now().astimezone(), Differences(choices, pictures), instances.PAGE)
