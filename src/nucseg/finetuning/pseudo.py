"""From a few outlined areas to a model: rounds of training, each on what the one before is sure of."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nucseg.augment.augmenter import Augmenter
from nucseg.core.errors import InputError
from nucseg.core.types import VOID, Sample
from nucseg.datasets.modality import modality_of
from nucseg.images.io import read_image, read_labels, write_image, write_labels
from nucseg.images.source import array_source
from nucseg.images.survey import survey
from nucseg.images.transforms import Transform
from nucseg.inference.options import PredictOptions
from nucseg.inference.semantic.predictor import SemanticPredictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.registry import create_model
from nucseg.tasks import semantic
from nucseg.training.pseudo_config import PseudoConfig
from nucseg.training.train import train

logger = logging.getLogger(__name__)

_DATASET = "pseudo"


@dataclass(frozen=True)
class Round:
    """One round.

    Attributes:
        number: From 1 on.
        mean_iou: On the outlined areas that are held out (the val split).
        taken: Whether it is at least as good as the best round before.
        learned: Share of the pixels that it learned from.
    """

    number: int
    mean_iou: float
    taken: bool
    learned: float


@dataclass(frozen=True)
class Labelled:
    """The outcome of `train_in_rounds`.

    Attributes:
        bundle: The model of the best round.
        rounds: All rounds.
    """

    bundle: ModelBundle
    rounds: tuple[Round, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row per round."""
        return pd.DataFrame([vars(each) for each in self.rounds])


def train_in_rounds(
    samples: Sequence[Sample],
    unlabelled: Sequence[Sample],
    config: PseudoConfig,
    *,
    transforms: tuple[Transform, ...],
    augmenter: Augmenter | None,
    folder: Path,
    name: str,
) -> Labelled:
    """Train a model in rounds.

    The first round learns from what is outlined in the train split. Each later one learns from the masks of the best
    model so far, for the whole images of the train split and for unlabelled ones: what is outlined stays, other pixels
    have the class of which the model is sure, and the rest is void. A round that is worse on the areas held out is not
    taken. A run that was stopped goes on with the round that it was in.

    Args:
        samples: Images with class maps in which everything not outlined is void; at least one in train and in val.
        unlabelled: Further images, whose class maps are not read.
        config: Rounds, networks and trainings.
        transforms: The preprocessing, which becomes part of the model.
        augmenter: Changes the training patches, or None.
        folder: Where the masks and the checkpoints of each round go.
        name: Name of the model.

    Raises:
        InputError: There is nothing to learn from, one class alone is outlined, or a file is not readable.
        ModelError, ConfigError: Initial weights are missing or of another network.
    """
    training, held_out = ([each for each in samples if each.split == split] for split in ("train", "val"))
    if not training or not held_out:
        raise InputError(
            f"pseudo_labelling: {len(training)} of {len(samples)} images with outlined areas are in the split train "
            f"and {len(held_out)} in val, and both need one: outline areas of more images, or change "
            "semantic.data_preprocessing.split."
        )
    _check_shown(training, held_out, config.first.architecture.classes)
    task = semantic.training()
    best: ModelBundle | None = None
    rounds: list[Round] = []
    score = -1.0
    for number in range(1, config.rounds + 1):
        plan = config.further if best else config.first
        place = folder / f"round{number}"
        seen = training if best is None else _pseudo_samples(best, [*training, *unlabelled], config.confidence, place)
        learned = _known_share(seen)
        keras.utils.set_random_seed(plan.training.seed)
        parameters = plan.architecture.model_dump(mode="json")
        bundle = train(
            [*seen, *held_out],
            create_model("unet", parameters),
            task=task,
            transforms=transforms,
            augmenter=augmenter,
            sampling=config.sampling,
            config=plan.training,
            folder=place,
            name=name,
            parameters=parameters,
        )
        found = task.scores(bundle, held_out, plan.training.precision)["overall"]["mean_iou"]
        taken = found >= score
        rounds.append(Round(number, found, taken, learned))
        what = "taken" if taken else f"not taken: the best before it has {score:.3f}"
        logger.info(
            "Round %d: mean IoU %.3f on the areas held out, learned from %.1f %% of the pixels; %s.",
            number,
            found,
            100 * learned,
            what,
        )
        if taken:
            best, score = bundle, found
    if best is None:
        raise InputError("pseudo_labelling: no round could be judged; the areas held out show no class.")
    return Labelled(best, tuple(rounds))


def unlabelled_samples(images: Sequence[Path], folder: Path) -> list[Sample]:
    """Store images of which nothing is outlined as samples.

    Args:
        images: Their files.
        folder: Where they go.

    Returns:
        The samples, of the train split and without class maps.

    Raises:
        InputError: An image is not readable, or two have one name.
    """
    found: list[Sample] = []
    for each in images:
        if any(sample.image_id == each.stem for sample in found):
            raise InputError(f"{each}: there is another image named {each.stem}; rename one of them.")
        pixels = read_image(each)
        image = survey(array_source(pixels, str(each))).canonical(pixels)
        path = folder / "images" / f"{each.stem}.tif"
        write_image(path, image)
        found.append(_sample(each.stem, image, path))
    return found


def confident(probabilities: NDArray[np.uint8], classes: NDArray[np.uint8], confidence: float) -> NDArray[np.uint8]:
    """Return a class map in which pixels below a probability are void.

    Args:
        probabilities: `(H, W)`, of the class of each pixel, in steps of 1/255.
        classes: `(H, W)`.
        confidence: The probability.
    """
    return np.where(probabilities >= confidence * 255, classes, VOID).astype(np.uint8)


def _pseudo_samples(model: ModelBundle, samples: Sequence[Sample], confidence: float, folder: Path) -> list[Sample]:
    """Write the class maps that a model is sure of; what is outlined stays."""
    predictor = SemanticPredictor(model, PredictOptions(scale=1))
    found = []
    for sample in samples:
        image = read_image(sample.image_path)
        prediction = predictor.predict(image, name=sample.key)
        classes = confident(prediction.confidence, prediction.classes, confidence)
        if sample.label_path is not None:
            truth = read_labels(sample.label_path)
            classes = np.where(truth == VOID, classes, truth).astype(np.uint8)
        if (classes == VOID).all():
            logger.info("%s: the model is sure of no pixel; it is left out.", sample.key)
            continue
        path = folder / "classes" / f"{sample.key}.tif"
        write_labels(path, classes)
        found.append(replace(sample, label_path=path))
    return found


def _check_shown(training: Sequence[Sample], held_out: Sequence[Sample], names: Sequence[str]) -> None:
    """Refuse areas of one class alone, of which everything would become this class; name classes without an area."""
    for what, samples in (("to learn from", training), ("held out", held_out)):
        maps = [read_labels(sample.label_file()) for sample in samples]
        shown = set(np.unique(np.concatenate([np.unique(each) for each in maps])).tolist()) - {VOID}
        if len(shown) < 2:
            found = ", ".join(names[number] for number in shown) or "nothing"
            raise InputError(
                f"the outlined areas {what} show {found} alone: outline areas of at least two classes, the background "
                "among them, in several places."
            )
        missing = [name for number, name in enumerate(names) if number not in shown]
        if missing:
            logger.warning("The outlined areas %s do not show %s.", what, ", ".join(missing))


def _known_share(samples: Sequence[Sample]) -> float:
    known = [read_labels(sample.label_file()) != VOID for sample in samples]
    return float(sum(each.sum() for each in known) / sum(each.size for each in known))


def _sample(name: str, image: NDArray, path: Path) -> Sample:
    return Sample(
        image_id=name,
        dataset=_DATASET,
        split="train",
        modality=modality_of(image),
        height=image.shape[0],
        width=image.shape[1],
        channels=1 if image.ndim == 2 else 3,
        magnification=None,
        test_class=None,
        n_nuclei=None,
        median_diameter_px=None,
        image_path=path,
        label_path=None,
    )
