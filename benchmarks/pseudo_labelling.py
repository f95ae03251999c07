"""Measure what a few outlined areas give: rounds of pseudo-labelling, beside training on everything.

    python benchmarks/pseudo_labelling.py data/03_primary/semantic/samples.csv [--areas 8] [--side 128] [--model unet]
        [--images 100] [further.training.epochs=10 ...]

Of the training images of a manifest of class maps, some are drawn, and of each an area is kept; all else of them is
void, and the other training images, or `--images` of them, count as not outlined. Half as many areas of validation
images judge the rounds and choose the weights. Each round, then a training of the same length as the last round on the
class maps of all training images, and models that exist, are measured on the other validation images; the test split is
not read. Parameters are those of `conf/base/parameters/pseudo_labelling.yml`, with the changes that follow the options.
"""

import argparse
import logging
import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from omegaconf import OmegaConf

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.core.types import VOID, Sample
from nucseg.datasets.manifest import read_manifest
from nucseg.finetuning.pseudo import Labelled, train_in_rounds
from nucseg.images.io import read_labels, write_labels
from nucseg.images.transforms import parse_transforms
from nucseg.models.bundle import ModelBundle
from nucseg.models.registry import resolve_model
from nucseg.tasks import semantic
from nucseg.training.pseudo_config import PseudoConfig

CONF = Path(__file__).parents[1] / "conf/base"


def main() -> None:
    """Outline, train, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--areas", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--images", type=int, help="Further training images of which nothing is outlined.  [all]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", nargs="*", default=[], help="Models to measure beside.")
    parser.add_argument("--work", type=Path, help="Folder for masks and checkpoints, with which a run goes on.")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="Changes of pseudo_labelling.yml.")
    given = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    samples = read_manifest(given.manifest)
    training, validation = ([each for each in samples if each.split == split] for split in ("train", "val"))
    merged = OmegaConf.merge(*map(OmegaConf.load, (CONF / "parameters").glob("*.yml")))
    OmegaConf.register_new_resolver("globals", lambda key: OmegaConf.load(CONF / "globals.yml")[key])
    merged.pseudo_labelling.merge_with_dotlist(given.changes)
    parameters = OmegaConf.to_container(merged, resolve=True)
    config = PseudoConfig.model_validate(parameters["pseudo_labelling"])
    data = parameters["semantic"]
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        rng = np.random.default_rng(given.seed)
        outlined = outline(training, given.areas, given.side, rng, work)
        judges = outline(validation, -(-given.areas // 2), given.side, rng, work)
        keys = {each.key for each in (*outlined, *judges)}
        others = [replace(each, label_path=None) for each in training if each.key not in keys]
        unlabelled = [others[index] for index in rng.permutation(len(others))[: given.images]]
        measured = [each for each in validation if each.key not in keys]
        train = partial(
            train_in_rounds,
            transforms=parse_transforms(data["data_preprocessing"]["transforms"]),
            augmenter=Augmenter.from_config(AugmentationConfig.model_validate(data["data_augmentations"])),
            name="pseudo",
        )
        print(
            f"{len(measured)} images measured.\n\n"
            "| model | learned from | mean IoU where judged | mean IoU | Dice | of each modality |\n"
            "|---|---:|---:|---:|---:|---|"
        )
        for number in range(1, config.rounds + 1):
            # A round that is known is not trained again.
            rounds = config.model_copy(update={"rounds": number})
            found = train([*outlined, *judges], unlabelled, rounds, folder=work / "rounds")
            last = found.rounds[-1]
            _show(f"round {number}{'' if last.taken else ' (not taken)'}", found, found.bundle, measured)
        alone = config.model_copy(update={"rounds": 1, "first": config.further})
        found = train([*training, *judges], [], alone, folder=work / "everything")
        _show("everything", found, found.bundle, measured)
    for name in given.model:
        _show(f"`{name}`", None, ModelBundle.load(resolve_model(name)), measured)


def _show(name: str, found: Labelled | None, bundle: ModelBundle, measured: list[Sample]) -> None:
    """Print a row."""
    all_scores = semantic.training().scores(bundle, measured, "auto")
    scores = all_scores["overall"]
    kinds = ", ".join(f"{kind} {each['mean_iou']:.3f}" for kind, each in all_scores["by_modality"].items())
    how = f"{100 * found.rounds[-1].learned:.1f} % | {found.rounds[-1].mean_iou:.3f}" if found else "|"
    print(f"| {name} | {how} | {scores['mean_iou']:.3f} | {scores['mean_dice']:.3f} | {kinds} |", flush=True)


def outline(samples: list[Sample], count: int, side: int, rng: np.random.Generator, folder: Path) -> list[Sample]:
    """Keep an area of some samples that shows more than one class; all else of them is void."""
    found = []
    for index in rng.permutation(len(samples)):
        sample = samples[index]
        classes = read_labels(sample.label_file())
        top, left = (int(rng.integers(max(length - side, 0) + 1)) for length in classes.shape)
        kept = np.full_like(classes, VOID)
        area = np.s_[top : top + side, left : left + side]
        kept[area] = classes[area]
        if len(np.unique(kept[kept != VOID])) < 2:
            continue
        path = folder / "outlined" / f"{sample.key}.tif"
        write_labels(path, kept)
        found.append(replace(sample, label_path=path))
        if len(found) == count:
            break
    return found


if __name__ == "__main__":
    main()
