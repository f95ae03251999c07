"""A model of classes from a few outlined areas of a user's own images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.core.errors import InputError
from nucseg.core.types import VOID, Sample
from nucseg.datasets.duplicates import near_duplicate_groups
from nucseg.datasets.folders import files, find_images
from nucseg.datasets.own_classes import MAP_SUFFIXES
from nucseg.datasets.paired import pair_images
from nucseg.finetuning.pseudo import Round, train_in_rounds, unlabelled_samples
from nucseg.images.io import read_labels, write_labels
from nucseg.images.transforms import Normalize
from nucseg.models.unet.config import IMAGENET, UNetConfig
from nucseg.training.config import TrainingConfig
from nucseg.training.pseudo_config import PseudoConfig, RoundConfig

_HELD_OUT = 0.25
_SEED = 42


@dataclass(frozen=True)
class AreasTrained:
    """What came of a training.

    Attributes:
        rounds: All rounds.
        outlined: Number of images with outlined areas.
        further: Number of images without.
        rejected: Why images with outlined areas were left out, by name.
    """

    rounds: tuple[Round, ...]
    outlined: int
    further: int
    rejected: dict[str, str]


def train_on_areas(
    images: Path, areas: Path, folder: Path, *, classes: tuple[str, ...], rounds: int = 2, minutes: float | None = None
) -> AreasTrained:
    """Train a U-Net in rounds from outlined areas, and write the model of the best round.

    About a quarter of the areas are held out, and each round is measured on them: whole images, or, if all areas are in
    one image (or in images of one field), areas of it.

    Args:
        images: Folder of images; those without outlined areas are learned from in the later rounds.
        areas: Folder of the outlined areas, in files named like their images; see `nucseg.datasets.own_classes`.
        folder: Folder of the new model, which does not exist yet; its name is the model's.
        classes: Names of the classes, from 0 on.
        rounds: Number of rounds.
        minutes: Time for all epochs together; None: until the validation losses do not fall any more.

    Raises:
        InputError: A folder or an image is not readable, or too little is outlined.
        StorageError: The model cannot be written.
    """
    found, named = find_images(images), {path.stem for path in files(areas, MAP_SUFFIXES)}
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        chosen = [path for path in found if path.stem in named]
        if named and not chosen:
            raise InputError(f"{areas}: none of its files has the name of an image in {images}.")
        (place / "outlined").mkdir()
        for path in chosen:
            (place / "outlined" / path.name).symlink_to(path.absolute())
        paired = pair_images(place / "outlined" if chosen else images, areas, place, classes=classes)
        samples = _hold_out(paired.samples, paired.facts, place)
        further = unlabelled_samples([path for path in found if path.stem not in named], place / "further")
        labelled = train_in_rounds(
            samples,
            further,
            _config(classes, rounds, minutes),
            transforms=(Normalize(),),
            augmenter=Augmenter.from_config(AugmentationConfig()),
            folder=folder.with_name(".training") / folder.name,
            name=folder.name,
        )
        labelled.bundle.save(folder)
    return AreasTrained(labelled.rounds, len(paired.samples), len(further), paired.rejected)


def _config(classes: tuple[str, ...], rounds: int, minutes: float | None) -> PseudoConfig:
    """Return networks and trainings that two cores can do; the pipeline reads its own from its parameters."""

    def plan(filters: tuple[int, ...], patch_size: int, steps: int, weight_decay: float) -> RoundConfig:
        return RoundConfig(
            architecture=UNetConfig(classes=classes, decoder_filters=filters, pretrained=IMAGENET),
            training=TrainingConfig(
                patch_size=patch_size,
                batch_size=8,
                steps_per_epoch=steps,
                epochs=40,
                learning_rate=5e-4,
                schedule="plateau",
                plateau_patience=4,
                early_stopping_patience=8,
                weight_decay=weight_decay,
                clip_norm=5.0,
                validation_patches=32,
                minutes=None if minutes is None else minutes / rounds,
            ),
        )

    first, further = plan((64, 48, 32, 32), 128, 25, 1e-2), plan((128, 96, 64, 64), 192, 50, 1e-4)
    return PseudoConfig(rounds=rounds, first=first, further=further)


def _hold_out(samples: Sequence[Sample], facts: pd.DataFrame, folder: Path) -> list[Sample]:
    """Assign what is outlined to train and val, and write the class maps of both.

    Raises:
        InputError: No class is outlined in two places.
    """
    shown: dict[int, set[int]] = {}
    for _, classes, places in _places(samples, facts):
        known = classes != VOID
        for place, number in np.unique(np.stack([places[known], classes[known]]), axis=1).T.tolist():
            shown.setdefault(place, set()).add(number)
    held_out = _chosen(shown)
    if not held_out:
        raise InputError(
            "no class is outlined in two places, one to learn from and one to judge by: outline more areas, which do "
            "not touch, each with several classes."
        )
    assigned = []
    for sample, classes, places in _places(samples, facts):
        judged = np.isin(places, list(held_out))
        halves = {"train": np.where(judged, VOID, classes), "val": np.where(judged, classes, VOID)}
        halves = {split: half for split, half in halves.items() if (half != VOID).any()}
        for split, half in halves.items():
            path = folder / split / f"{sample.image_id}.tif"
            write_labels(path, half)
            name = f"{sample.image_id} {split}" if len(halves) > 1 else sample.image_id
            assigned.append(replace(sample, split=split, image_id=name, label_path=path))
    return assigned


def _places(samples: Sequence[Sample], facts: pd.DataFrame) -> Iterator[tuple[Sample, NDArray, NDArray]]:
    """Yield samples, their class maps, and numbers of what must not be divided: 0 where nothing is outlined.

    These are images, or groups of images that are alike; or, if all are alike, connected areas.
    """
    groups = pd.factorize(near_duplicate_groups(facts))[0]
    before = 0
    for sample, group in zip(samples, groups, strict=True):
        classes = read_labels(sample.label_file())
        known = classes != VOID
        if groups.any():
            yield sample, classes, known * (group + 1)
            continue
        areas, count = ndimage.label(known)
        areas[known] += before
        before += count
        yield sample, classes, areas


def _chosen(shown: Mapping[int, set[int]]) -> set[int]:
    """Choose about a quarter of the places of each class, but never the last one that shows a class.

    Args:
        shown: The classes of each place.
    """
    held_out: set[int] = set()
    order = np.random.default_rng(_SEED).permutation(sorted(shown)).tolist()
    numbers = set().union(*shown.values())
    for number in sorted(numbers, key=lambda each: sum(each in classes for classes in shown.values())):
        own = [place for place in order if number in shown[place]]
        wanted = max(1, round(_HELD_OUT * len(own))) - len(held_out.intersection(own))
        for place in sorted(set(own) - held_out, key=lambda each: (-len(shown[each]), own.index(each))):
            rest = set().union(*(shown[each] for each in shown if each != place and each not in held_out))
            if wanted > 0 and rest >= shown[place]:
                held_out.add(place)
                wanted -= 1
    return held_out
