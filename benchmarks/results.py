"""Write the scores of the shipped models into the README and their page.

    kedro run --env cpu --tags model_validation    # evaluates the models in data/06_models
    python benchmarks/results.py                   # copies their scores and training curves

The scores are kept in `docs/results/<model>.json`; the README's tables are made from these files.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from nucseg.core.files import atomic_file
from nucseg.models.registry import project_models
from nucseg.models.run import RunRecord
from nucseg.reporting.charts import training_figure
from nucseg.reporting.tables import format_score, format_with_interval, is_end, metric_rows

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"
BEGIN, END = "<!-- results: made by benchmarks/results.py -->\n", "<!-- end of results -->"
PATCHES_BEGIN, PATCHES_END = "<!-- mitosis: made by benchmarks/results.py -->\n", "<!-- end of mitosis -->"
PATCHES = "mitosis"
PIXELS_BEGIN, PIXELS_END = "<!-- pixels: made by benchmarks/results.py -->\n", "<!-- end of pixels -->"
PIXELS = ("unet", "deeplab")


def table(results: dict[str, dict[str, Any]]) -> str:
    """Write a Markdown table, one row per metric, one column a model and modality.

    Args:
        results: `metrics.json` of each model, by its name.
    """
    columns = {
        (model, group): scores
        for model, metrics in results.items()
        for group, scores in {"all": metrics["overall"], **metrics["by"]["modality"]}.items()
    }
    lines = [
        "| | averaged | " + " | ".join(f"{model}<br>{group}" for model, group in columns) + " |",
        "|---|---|" + "---:|" * len(columns),
    ]
    rows = metric_rows(list(results.values()))
    for key, metric in rows.items():
        if is_end(key, rows):
            continue
        scores = " | ".join(format_with_interval(column, key) for column in columns.values())
        lines.append(f"| {metric.label} (`{key}`) | {metric.averaging} | {scores} |")
    return "\n".join(lines) + "\n"


def sizes_table(results: dict[str, dict[str, Any]]) -> str:
    """Write a Markdown table of the recall by the diameter of the nuclei, one row a class of diameters.

    Args:
        results: `metrics.json` of each model, by its name.
    """
    lines = [
        "| diameter in pixels | true nuclei | " + " | ".join(f"recall, {model}" for model in results) + " |",
        "|---|" + "---:|" * (1 + len(results)),
    ]
    for rows in zip(*(metrics["recall_by_diameter"] for metrics in results.values()), strict=True):
        diameters = (
            f"{rows[0]['from']:g} or more" if rows[0]["to"] is None else f"{rows[0]['from']:g} to {rows[0]['to']:g}"
        )
        recalls = " | ".join(format_score(row["recall_50"]) for row in rows)
        lines.append(f"| {diameters} | {rows[0]['n_true']:,} | {recalls} |")
    return "\n".join(lines) + "\n"


def patches_table(metrics: dict[str, Any]) -> str:
    """Write a Markdown table of classified patches, one row per data set.

    Args:
        metrics: `metrics.json` of the classifier.
    """
    lines = [
        "| test slides | slides | patches | mitoses among them | F1 | precision | recall | AP | ROC AUC | "
        "balanced accuracy | calibration error |",
        "|---|" + "---:|" * 10,
    ]
    for name, group in {**metrics["by"]["test_class"], "all": metrics["overall"]}.items():
        found = {key: format_score(value) for key, value in group.items()}
        intervals = [format_with_interval(group, key) for key in ("f1", "average_precision")]
        cells = [name, found["n_cases"], found["n_patches"], f"{100 * group['prevalence']:.1f} %", intervals[0]]
        cells += [found["precision"], found["recall"], intervals[1]]
        cells += [found[key] for key in ("roc_auc", "balanced_accuracy", "calibration_error")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def pixels_table(results: dict[str, dict[str, Any]]) -> str:
    """Write a Markdown table of models that give each pixel a class, one row per model and modality.

    Args:
        results: `metrics.json` of each model, by its name.
    """
    lines = [
        "| model | images | number | mean IoU | mean Dice | pixel accuracy | boundary F1 |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for model, metrics in results.items():
        for name, scores in [*sorted(metrics["by"]["modality"].items()), ("all", metrics["overall"])]:
            cells = [f"`{model}`", name, str(scores["n_images"])]
            cells += [format_with_interval(scores, key) for key in ("mean_iou", "mean_dice")]
            cells += [f"{scores[key]:.3f}" for key in ("pixel_accuracy", "boundary_f1")]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page(readme: str) -> str:
    """Return docs/results.md: the README's section on the results."""
    text = readme.partition("## Results\n")[2].partition("\n## ")[0]
    return "# Results\n" + text.replace("(docs/", "(")


def readme_with(readme: str, results: dict[str, dict[str, Any]]) -> str:
    """Return the README's text with the tables of `results` between their marks."""
    pixels = {model: metrics for model, metrics in results.items() if model in PIXELS}
    nuclei = {model: metrics for model, metrics in results.items() if model not in (PATCHES, *PIXELS)}
    nucleus_tables = f"{table(nuclei)}\nThe same images, nuclei by their diameter (IoU 0.50):\n\n{sizes_table(nuclei)}"
    readme = _between(readme, BEGIN, END, nucleus_tables)
    if PATCHES in results:
        readme = _between(readme, PATCHES_BEGIN, PATCHES_END, patches_table(results[PATCHES]))
    return _between(readme, PIXELS_BEGIN, PIXELS_END, pixels_table(pixels)) if pixels else readme


def _between(text: str, begin: str, end: str, written: str) -> str:
    before, _, rest = text.partition(begin)
    return before + begin + "\n" + written + "\n" + end + rest.partition(end)[2]


def kept_results() -> dict[str, dict[str, Any]]:
    """Read `docs/results`."""
    files = [RESULTS / f"{model}.json" for model in project_models()]
    return {file.stem: json.loads(file.read_text()) for file in files if file.exists()}


def main() -> None:
    """Copy the results of the last evaluation."""
    for model in project_models():
        metrics = ROOT / f"data/08_reporting/{model}/metrics.json"
        folder = ROOT / f"data/06_models/{model}"
        if metrics.exists() and (folder / "run.json").exists():
            shutil.copy(metrics, RESULTS / f"{model}.json")
            trainings = RunRecord.load(folder).ancestry()
            if model == "mask_rcnn":  # not those of the StarDist that it may have the trunk of
                trainings = [each for each in trainings if "preset" in each.parameters.model]
            if trainings[0].parameters.model.get("fine_tune") == "mask_head":
                trainings = trainings[1:]  # of all parts
            figure = training_figure([epoch for training in reversed(trainings) for epoch in training.history])
            if figure is not None and model not in PIXELS:
                figure.savefig(ROOT / f"docs/images/{model}-training.png", dpi=90)
    readme = readme_with((ROOT / "README.md").read_text(), kept_results())
    for name, text in (("README.md", readme), ("docs/results.md", page(readme))):
        with atomic_file(ROOT / name) as path:
            path.write_text(text)


if __name__ == "__main__":
    main()
