"""The study of StarDist's recipe: each row is a short training of equal length, scored only on the val split.

    python benchmarks/study.py --out FOLDER            # computes every row that is not in FOLDER yet; resumes
    python benchmarks/study.py --out FOLDER grid-1     # computes one row
    python benchmarks/study.py --out FOLDER --table    # prints the rows of FOLDER as a Markdown table

The data must have been processed: `kedro run --env cpu --pipelines data_download` and `data_processing`.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from flips import FlippedStarDist
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.core.files import atomic_file
from nucseg.core.types import Sample
from nucseg.models.bundle import ModelBundle
from nucseg.params import check_parameters
from nucseg.pipelines.model_training.nodes import trainer
from nucseg.tasks import instances
from nucseg.training.train import tune_thresholds

ROOT = Path(__file__).parents[1]
STEPS = {"steps_per_epoch": 250, "epochs": 12, "cycles": 1, "warmup_steps": 250, "patch_size": 160}  # 3,000 steps
# What the rows have otherwise than `conf/`: the U-Net, from random weights, and nuclei of the images' own sizes.
ARCHITECTURE = {
    "backbone": "unet",
    "pretrained": None,
    "decoder_filters": [128, 96, 64, 64],
    "net_conv_after_unet": 128,
    "refine_filters": 32,
}
SAMPLING = {"diameters": None, "background_probability": 0.05, "area_exponent": 0.0}
SCALE = [0.5, 2.0]
COLUMNS = {  # heading: where the score stands in run.json's validation scores
    "fluo ap_50": ("fluorescence", "ap_50"),
    "fluo ap_mean_50_90": ("fluorescence", "ap_mean_50_90"),
    "histology f1_50": ("histology", "f1_50"),
    "brightfield f1_50": ("brightfield", "f1_50"),
    "all dsb2018_score": ("overall", "dsb2018_score"),
}


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        says: The difference from the recipe.
        architecture: Overrides of `stardist.architecture`.
        sampling: Overrides of `stardist.sampling`.
        training: Overrides of `stardist.training`.
        others: Overrides of other parameter files.
        only: The modality that is used for training and scoring, or None for all.
        of: The row whose weights are used, for what needs no training of its own.
    """

    says: str
    architecture: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    only: str | None = None
    of: str | None = None


_WIDE = {"backbone": "efficientnet_lite0", "pretrained": "imagenet", "refine_filters": 48}
_NARROW = {**_WIDE, "decoder_filters": [96, 64, 48, 32], "net_conv_after_unet": 64, "refine_filters": 16}
_PER_CHANNEL = [{"name": "normalize", "pmin": 1.0, "pmax": 99.8, "axis": "channel"}]
ROWS = {
    "recipe": Row("the U-Net, seed 42"),
    "seed-43": Row("seed 43", training={"seed": 43}),
    "seed-44": Row("seed 44", training={"seed": 44}),
    "fluorescence-grey": Row("fluorescence only, one channel", architecture={"in_channels": 1}, only="fluorescence"),
    "not-augmented": Row("no augmentation", others={"data_augmentations": {"transforms": []}}),
    "per-channel": Row(
        "each channel normalised by itself", others={"data_preprocessing": {"transforms": _PER_CHANNEL}}
    ),
    "not-balanced": Row("all images as likely", sampling={"balance": "none"}),
    "no-background": Row("no patches of empty images", sampling={"background_probability": 0.0}),
    "rays-64": Row("64 rays", architecture={"n_rays": 64}),
    "rays-96": Row("96 rays", architecture={"n_rays": 96}),
    "grid-1": Row("grid 1", architecture={"grid": 1}),
    "not-refined": Row("no foreground head, plain polygons", architecture={"refine_radius": 0}),
    "trunk": Row("EfficientNet-Lite0 with the weights of ImageNet", architecture=_WIDE),
    "trunk-seed-43": Row("the same, seed 43", architecture=_WIDE, training={"seed": 43}),
    "trunk-seed-44": Row("the same, seed 44", architecture=_WIDE, training={"seed": 44}),
    "trunk-random": Row("the same, random weights", architecture={**_WIDE, "pretrained": None}),
    "trunk-narrow": Row("the same, narrow decoder, features and foreground", architecture=_NARROW),
    "trunk-iou": Row("the same, `iou` as the loss of the distances", architecture={**_WIDE, "train_dist_loss": "iou"}),
    "trunk-per-channel": Row(
        "the same, each channel normalised by itself",
        architecture=_WIDE,
        others={"data_preprocessing": {"transforms": _PER_CHANNEL}},
    ),
    "flips": Row("recipe's weights, maps averaged over four flips", of="recipe"),
}


def make_row(name: str, out: Path) -> None:
    """Train and score one row; `FOLDER/<name>.json` gets its record, `FOLDER/<name>/` its model and checkpoints."""
    row = ROWS[name]
    sections = {
        "architecture": {**ARCHITECTURE, **row.architecture},
        "sampling": {**SAMPLING, **row.sampling},
        "training": {**STEPS, **row.training},
    }
    overrides = {"stardist": sections, **row.others}
    bootstrap_project(ROOT)
    with KedroSession.create(ROOT, env="cpu", runtime_params=overrides) as session:
        context = session.load_context()
        samples: list[Sample] = context.catalog.load("samples")
        parameters = check_parameters(context.params, [])
    if row.only:
        samples = [sample for sample in samples if sample.modality == row.only]
    began = time.perf_counter()
    if row.of:
        bundle = ModelBundle.load(out / row.of / "model")
        bundle = replace(bundle, model=FlippedStarDist.of(bundle.model))
    else:
        listed = [
            each.model_copy(update={"scale": SCALE}) if each.name == "affine" else each
            for each in parameters.data_augmentations.transforms
        ]
        augmenter = Augmenter.from_config(AugmentationConfig(transforms=tuple(listed)))
        bundle = trainer("stardist")(
            samples,
            augmenter.to_dict(),
            parameters.data_preprocessing,
            parameters.of_model("stardist").architecture.model_dump(),
            parameters.of_model("stardist").sampling,
            parameters.of_model("stardist").training,
            out / name,
        )
    bundle = tune_thresholds(bundle, samples, instances.training())
    if not row.of:
        bundle.save(out / name / "model")
    record = {"row": name, "minutes": (time.perf_counter() - began) / 60, **bundle.run.content()["validation"]}
    with atomic_file(out / f"{name}.json") as path:
        path.write_text(json.dumps(record, indent=2))


def table(out: Path) -> str:
    """Return the existing rows, and the spread of the recipe's seeds, as Markdown."""
    records = {name: json.loads((out / f"{name}.json").read_text()) for name in ROWS if (out / f"{name}.json").exists()}
    lines = ["| row | what | " + " | ".join(COLUMNS) + " | score, NMS |", "|---|---|" + "---:|" * (len(COLUMNS) + 1)]
    values = {
        name: [_score(record["scores"], *where, ROWS[name].only) for where in COLUMNS.values()]
        for name, record in records.items()
    }
    for name, scores in values.items():
        thresholds = records[name]["thresholds"]
        cells = [f"`{name}`", ROWS[name].says]
        cells += ["-" if np.isnan(score) else f"{score:.3f}" for score in scores]
        cells += [f"{thresholds['score']:.2f}, {thresholds['nms']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    seeds = [values[name] for name in ("recipe", "seed-43", "seed-44") if name in values]
    if len(seeds) > 1:
        spread = np.ptp(np.array(seeds), axis=0)
        lines.append(
            f"| | *largest minus smallest of the {len(seeds)} seeds* | "
            + " | ".join(f"{x:.3f}" for x in spread)
            + " | |"
        )
    return "\n".join(lines)


def _score(scores: dict[str, Any], group: str, key: str, only: str | None) -> float:
    if only not in (None, group):  # a part of the images does not compare with all of them
        return float("nan")
    found = scores["overall"] if group == "overall" else scores["by_modality"].get(group, {})
    value = found.get(key)
    return float("nan") if value is None else value


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one of {', '.join(ROWS)}; none: all")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where records and models go")
    parser.add_argument("--table", action="store_true", help="print what is there instead")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        parser.error(f"{unknown[0]!r} is no row; there are {', '.join(ROWS)}")
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if not arguments.table:
        for name in arguments.rows or ROWS:
            if arguments.rows or not (out / f"{name}.json").exists():
                make_row(name, out)
    print(table(out))


if __name__ == "__main__":
    main()
