"""Measure what a few outlined areas give: rounds of pseudo-labelling, beside training on everything.

    python benchmarks/pseudo_labelling.py data/03_primary/semantic/samples.csv [--areas 8] [--side 128] [--everything]

Of the training images of a manifest of class maps, some are drawn, and of each an area is kept; all else of them is
void, and the other training images count as not outlined. Half as many areas of validation images judge the rounds. The
model of each round that was taken is measured on the whole test split. Parameters are those of
`conf/base/parameters/pseudo_labelling.yml`.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from omegaconf import OmegaConf

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.core.types import VOID, Sample
from nucseg.datasets.manifest import read_manifest
from nucseg.finetuning.pseudo import train_in_rounds
from nucseg.images.io import read_labels, write_labels
from nucseg.images.transforms import parse_transforms
from nucseg.tasks import semantic
from nucseg.training.pseudo_config import PseudoConfig

CONF = Path(__file__).parents[1] / "conf/base"


def main() -> None:
    """Outline, train, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--areas", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--everything", action="store_true", help="Train on all class maps instead, in one round.")
    given = parser.parse_args()
    samples = read_manifest(given.manifest)
    by_split = {split: [each for each in samples if each.split == split] for split in ("train", "val", "test")}
    merged = OmegaConf.merge(*map(OmegaConf.load, (CONF / "parameters").glob("*.yml")))
    OmegaConf.register_new_resolver("globals", lambda key: OmegaConf.load(CONF / "globals.yml")[key])
    parameters = OmegaConf.to_container(merged, resolve=True)
    config = PseudoConfig.model_validate(parameters["pseudo_labelling"])
    data = parameters["semantic"]
    task = semantic.training()
    with tempfile.TemporaryDirectory() as work:
        rng = np.random.default_rng(given.seed)
        if given.everything:
            seen, unlabelled = [*by_split["train"], *by_split["val"]], []
            config = config.model_copy(update={"rounds": 1, "first": config.further})
        else:
            outlined = outline(by_split["train"], given.areas, given.side, rng, Path(work))
            judged = outline(by_split["val"], -(-given.areas // 2), given.side, rng, Path(work))
            seen, keys = [*outlined, *judged], {each.key for each in outlined}
            unlabelled = [replace(each, label_path=None) for each in by_split["train"] if each.key not in keys]
        print(
            "| rounds | learned from | mean IoU where judged | test: mean IoU | test: Dice |\n|---|---:|---:|---:|---:|"
        )
        for rounds in range(1, (1 if given.everything else given.rounds) + 1):
            found = train_in_rounds(
                seen,
                unlabelled,
                config.model_copy(update={"rounds": rounds}),
                transforms=parse_transforms(data["data_preprocessing"]["transforms"]),
                augmenter=Augmenter.from_config(AugmentationConfig.model_validate(data["data_augmentations"])),
                folder=Path(work) / "run",  # a round that is known is not trained again
                name="pseudo",
            )
            last = found.rounds[-1]
            test = task.scores(found.bundle, by_split["test"], "auto")["overall"]
            name = f"{rounds}{'' if last.taken else ' (not taken)'}"
            print(
                f"| {name} | {100 * last.learned:.1f} % | {last.mean_iou:.3f} | "
                f"{test['mean_iou']:.3f} | {test['mean_dice']:.3f} |",
                flush=True,
            )


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
