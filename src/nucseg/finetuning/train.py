"""A model trained on with a user's own images, beside the model that it started from."""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nucseg.augment.augmenter import Augmenter
from nucseg.batch.evaluate import Result, evaluated, predictions_of, write_report
from nucseg.core.errors import InputError
from nucseg.core.types import Sample
from nucseg.core.words import counted
from nucseg.datasets.manifest import read_manifest
from nucseg.datasets.paired import pair_images
from nucseg.finetuning.sizes import as_seen
from nucseg.finetuning.splits import choose_splits, group_images, without_test
from nucseg.models.bundle import ModelBundle
from nucseg.models.registry import create_model, folder_task, kind_of
from nucseg.tasks import instances
from nucseg.training.config import SamplingConfig, TrainingConfig
from nucseg.training.train import train, tune_thresholds

logger = logging.getLogger(__name__)

MANIFEST = Path("data/03_primary/samples.csv")
"""Where the images are on which the project's models were trained, if they are at hand."""

_SEED = 42


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes:
        folder: The model.
        before: Scores of the model that it started from, on images held out.
        after: Its own scores on the same images.
        rejected: Why images were left out, by name.
        several: Whether the scores are those of several trainings, each with other images held out.
    """

    folder: Path
    before: dict[str, Any]
    after: dict[str, Any]
    rejected: dict[str, str]
    several: bool


def fine_tune(
    images: Path, labels: Path, start: Path, folder: Path, report: Path, *, minutes: float | None = None
) -> Trained:
    """Train a model on with a user's own images, and measure both models on images that were held out.

    Args:
        images: Folder of the images.
        labels: Folder of their nuclei; see `pair_images`.
        start: Folder of the model to start from.
        folder: Folder of the new model, which does not exist yet; its name is the model's.
        report: Folder of the report; see `write_report`.
        minutes: Time for all trainings together; None: until the validation loss does not fall any more.

    Raises:
        InputError: The images do not suffice, none has a nucleus, or the model to start from does not find nuclei.
        ModelError: The model to start from is damaged.
        StorageError: Model or report cannot be written.
    """
    if folder_task(start) not in (None, "instance_segmentation"):  # None: loading it says what is damaged
        raise InputError(f"model {start.name}: does not find nuclei, so it cannot be trained on outlined nuclei.")
    base = replace(ModelBundle.load(start), name=start.name)
    with TemporaryDirectory() as temporary:
        paired = pair_images(images, labels, Path(temporary))
        if not any(sample.n_nuclei for sample in paired.samples):
            raise InputError(
                f"{labels}: none of the {counted(len(paired.samples), 'image')} has a nucleus; outline the nuclei of "
                "some of them."
            )
        images_of = {sample.key: sample for sample in paired.samples}
        groups, known = group_images(paired.facts), as_seen(paired.samples, Path(temporary) / "seen")
        assignments = choose_splits(known, groups)
        several = len(assignments) > 1
        count = len(assignments) + several
        share = None if minutes is None else minutes / count
        tested: list[Sample] = []
        before: dict[str, instances.Prediction] = {}
        after: dict[str, instances.Prediction] = {}
        for number, assignment in enumerate(assignments, start=1):
            if several:
                logger.info("Training %d of %d, with other images held out.", number, count)
            work = folder.with_name(".training") / f"{folder.name}-{number}"
            bundle = _trained(base, start, assignment, work, folder.name, share, count - number)
            held_out = [images_of[sample.key] for sample in assignment if sample.split == "test"]
            tested += held_out
            before |= predictions_of(base, held_out)
            after |= predictions_of(bundle, held_out)
        if several:
            logger.info("Training %d of %d, on all images.", count, count)
            work = folder.with_name(".training") / folder.name
            bundle = _trained(base, start, without_test(known, groups), work, folder.name, share)
        bundle.save(folder)
        results: dict[str, Result] = {
            base.name: evaluated(base.name, tested, before),
            folder.name: evaluated(folder.name, tested, after),
        }
        write_report({base.name: base, folder.name: bundle}, results, tested, report)
    return Trained(folder, results[base.name].metrics, results[folder.name].metrics, paired.rejected, several)


def _trained(
    base: ModelBundle,
    start: Path,
    samples: Sequence[Sample],
    work: Path,
    name: str,
    minutes: float | None,
    following: int = 0,
) -> ModelBundle:
    """Train a copy of a model on the splits train and val."""
    run = base.run.parameters
    architecture = {**base.model.config.architecture(), "pretrained": str(start), "fine_tune": True}
    model = create_model(kind_of(base.model), architecture)
    own = [sample for sample in samples if sample.split != "test"]
    n_train = sum(sample.split == "train" for sample in own)
    replayed = _replayed(base, n_train)
    if replayed:
        again = counted(len(replayed), "image")
        logger.info("Shown again, so that %s does not forget: %s of those that it was trained on.", base.name, again)
    config = TrainingConfig(
        patch_size=(run.training or {}).get("patch_size", 256),
        batch_size=4,
        steps_per_epoch=min(max(2 * n_train, 20), 200),
        epochs=60,
        learning_rate=1e-4,
        schedule="plateau",
        plateau_patience=4,
        early_stopping_patience=10,
        validation_patches=min(8 * (len(own) - n_train), 64),
        minutes=minutes,
        seed=_SEED,
    )
    bundle = train(
        [*own, *replayed],
        model,
        task=instances.training(),
        transforms=base.transforms,
        augmenter=Augmenter.from_dict(run.augmentation) if run.augmentation else None,
        sampling=SamplingConfig(background_probability=0.05, enlarge=base.run.sizes().enlarge),
        config=config,
        folder=work,
        name=name,
        parameters=architecture,
        following=following,
    )
    # The path is of this machine only.
    recorded = bundle.run.parameters.model_copy(update={"model": {**architecture, "pretrained": start.name}})
    bundle = replace(bundle, run=bundle.run.model_copy(update={"parameters": recorded}))
    return tune_thresholds(bundle, own, instances.training())


def _replayed(base: ModelBundle, count: int) -> list[Sample]:
    """Choose images that a model was trained on, if the project has them."""
    if not MANIFEST.is_file():
        return []
    seen = base.run.images_seen().get("train", set())
    known = [sample for sample in read_manifest(MANIFEST) if sample.key in seen and sample.split == "train"]
    return random.Random(_SEED).sample(known, min(count, len(known)))


def better(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool | None:
    """Return whether a model is at least as good as another one, by mean AP (IoU 0.5 to 0.9) and by F1 (IoU 0.5).

    Returns:
        None if the images have no nuclei: each score is then 0, or not defined where a model finds none.
    """
    if not after["overall"]["n_true"]:
        return None
    return all(after["overall"][score] >= before["overall"][score] for score in ("ap_mean_50_90", "f1_50"))
