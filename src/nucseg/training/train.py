"""Training a model of any task: from samples to a model bundle."""

import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import keras
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import BaseModel

from nucseg.augment.augmenter import Augmenter
from nucseg.core.errors import ConfigError, InputError
from nucseg.core.types import Precision, Sample
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.transforms import Transform
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import describe_device, use_precision
from nucseg.models.protocols import Model
from nucseg.models.run import Validation, create_run_record, data_digest, load_parent_run
from nucseg.training.callbacks import make_callbacks
from nucseg.training.checkpoint import Checkpoint
from nucseg.training.config import TrainingConfig
from nucseg.training.feed import Patches, PatchFeed, validation_arrays
from nucseg.training.optimizer import make_optimizer
from nucseg.training.pictures import EpochPicture, View

logger = logging.getLogger(__name__)

# They change the speed of a training, what is shown of it or taken from it, not its course; a resumed one may differ.
_IGNORED_IN_ID = {"workers", "cache_mb", "precision", "tensorboard_images", "keep"}


class MakePatches(Protocol):
    """What a task offers to a training: the patches of samples."""

    def __call__(
        self,
        samples: Sequence[Sample],
        preprocessor: Preprocessor,
        augmenter: Augmenter | None,
        config: TrainingConfig,
        sampling: Any,
        *,
        held_out: bool,
    ) -> Patches:
        """Create the source of the patches.

        Args:
            samples: Of one split.
            preprocessor: The model's preprocessing.
            augmenter: Changes the patches, or None.
            config: Size of patches and memory.
            sampling: Which patches are drawn.
            held_out: Whether they are for the validation loss.
        """


@dataclass(frozen=True)
class TaskTraining:
    """What training takes of a task.

    Attributes:
        patches: Creates the source of patches of samples.
        seen: Returns the images of samples as a model sees them, and the truth of each.
        scores: Evaluates a model on samples: content of `Validation.scores`.
        view: What TensorBoard shows of a few validation images after each epoch, or None.
    """

    patches: MakePatches
    seen: Callable[[ModelBundle, Sequence[Sample]], tuple[list[NDArray], list[Any]]]
    scores: Callable[[ModelBundle, Sequence[Sample], Precision], dict[str, Any]]
    view: View | None = None


def train(
    samples: Sequence[Sample],
    model: Model,
    *,
    task: TaskTraining,
    transforms: tuple[Transform, ...],
    augmenter: Augmenter | None,
    sampling: BaseModel,
    config: TrainingConfig,
    folder: Path,
    name: str,
    parameters: Mapping[str, Any],
    following: int = 0,
) -> ModelBundle:
    """Fit a model on the train split and keep the weights that were best on the val split, or the last ones.

    A killed training resumes from its last complete epoch when it is called again with the same samples and settings,
    exactly as if it had not been interrupted; a finished one returns its result at once. A different training starts
    from the beginning, with its own checkpoint file.

    Args:
        samples: The manifest; the test split is ignored.
        model: The model with its initial weights; it is modified.
        task: The functions of the model's task.
        transforms: The preprocessing, which becomes part of the bundle.
        augmenter: Changes the training patches, or None.
        sampling: Which patches of which images are drawn.
        config: Size of patches, optimizer, schedule, stopping.
        folder: Gets `checkpoints/<identity>.npz` and `tensorboard/<identity>/`, of each different training its own.
        name: Name of the bundle.
        parameters: The model's configuration (architecture, initial weights), as JSON types; part of the identity of a
            training, and of its record.
        following: Number of trainings like this one that follow it, for the time left that is logged.

    Returns:
        The bundle, with unchanged thresholds (see `tune_thresholds`) and the run's record.

    Raises:
        ConfigError: The patch size is not a multiple of the model's stride.
        InputError: A split has no image, or a file is not readable.
        ModelError: The record of the pretrained model is damaged.
        StorageError: A checkpoint cannot be written or read.
    """
    training, validation = (_split(samples, split) for split in ("train", "val"))
    if config.patch_size % model.stride:
        raise ConfigError(
            f"training.patch_size: {config.patch_size} is not allowed with this model; "
            f"it must be a multiple of {model.stride}."
        )
    taken = getattr(model, "patch_size", None)  # of a classifier; a segmenter takes any multiple of its stride
    if taken not in (None, config.patch_size):
        raise ConfigError(
            f"training.patch_size: {config.patch_size} is not allowed with this model, which takes patches of {taken} "
            "pixels (architecture.patch_size); set both to the same value."
        )
    settings = _settings(parameters, sampling, config, transforms, augmenter)
    digest = data_digest([*training, *validation])
    # Random weights follow from the seed; a pretrained model's may change under the same name.
    first_weights = model.keras_model.get_weights() if parameters.get("pretrained") else []
    parent_run = load_parent_run(parameters.get("pretrained"))
    identity = _identity(settings, digest, first_weights)
    callbacks = make_callbacks(config, folder / "tensorboard" / identity, following)
    checkpoint = Checkpoint(folder / "checkpoints" / f"{identity}.npz", callbacks)
    checkpoint.load_history()

    if not checkpoint.path.is_file() and any(checkpoint.path.parent.glob("*.npz")):
        logger.info(
            "%s: the existing checkpoints belong to other settings, images or initial weights, or to an "
            "earlier version; training starts from the beginning.",
            checkpoint.path.parent,
        )

    precision = use_precision(config.precision)
    _announce(training, validation)
    logger.info("Device: %s. Precision: %s. Checkpoints and TensorBoard: %s.", describe_device(), precision, folder)
    if checkpoint.finished:
        logger.info("An identical training run is already complete; reusing it. Delete %s to retrain.", checkpoint.path)
        model.keras_model.set_weights(checkpoint.best_weights())
    else:
        preprocessor = Preprocessor(transforms, model.in_channels)
        source = task.patches(training, preprocessor, augmenter, config, sampling, held_out=False)
        feed = PatchFeed(source, model, config)
        plain = task.patches(validation, preprocessor, None, config, sampling, held_out=True)
        held_out = validation_arrays(plain, model, config)
        if task.view and config.tensorboard_images:
            shown = task.seen(ModelBundle(name, model, transforms), validation[: config.tensorboard_images])
            callbacks.append(EpochPicture(folder / "tensorboard" / identity, model, *shown, task.view))
        _fit(model, feed, held_out, config, [*callbacks, checkpoint])
    if config.keep == "last":
        checkpoint.set_last_weights(model.keras_model)
    losses = [entry["val_loss"] for entry in checkpoint.history]
    logger.info(
        "%s: best val_loss %.4f, last %.4f; the %s weights are kept.", name, min(losses), losses[-1], config.keep
    )
    record = create_run_record(
        [*training, *validation],
        parameters=settings,
        seed=config.seed,
        precision=precision,
        device=describe_device(),
        history=checkpoint.history,
        data_sha256=digest,
        parent_run=parent_run,
    )
    return ModelBundle(name, model, transforms, record)


def bundle_pretrained(
    samples: Sequence[Sample],
    model: Model,
    *,
    transforms: tuple[Transform, ...],
    config: TrainingConfig,
    name: str,
    parameters: Mapping[str, Any],
) -> ModelBundle:
    """Bundle a pretrained model without training it.

    Args:
        samples: The manifest; the record lists the images of the val split, which `tune_thresholds` will see.
        model: The model with pretrained weights, which stay unchanged.
        transforms: The preprocessing, which becomes part of the bundle.
        config: Only its precision and seed are used.
        name: Name of the bundle.
        parameters: The model's configuration, as JSON types, for the record.

    Returns:
        The bundle, with the pretrained thresholds and a record without history, whose `parameters.training` is None.

    Raises:
        InputError: The val split has no image.
        ModelError: The record of the pretrained model is damaged.
    """
    validation = _split(samples, "val")
    settings = _settings(parameters, None, None, transforms, None)
    logger.info("%s keeps its pretrained weights; nothing is trained.", name)
    record = create_run_record(
        validation,
        parameters=settings,
        seed=config.seed,
        precision=use_precision(config.precision),
        device=describe_device(),
        history=[],
        data_sha256=data_digest(validation),
        parent_run=load_parent_run(parameters.get("pretrained")),
    )
    return ModelBundle(name, model, transforms, record)


def tune_thresholds(bundle: ModelBundle, samples: Sequence[Sample], task: TaskTraining) -> ModelBundle:
    """Choose the model's thresholds on the val split and set them.

    Args:
        bundle: The trained model.
        samples: The manifest.
        task: The functions of the model's task.

    Returns:
        The bundle, its model with the new thresholds, its record with them and their scores under `validation`.
    """
    held_out = _split(samples, "val")
    bundle.model.thresholds = bundle.model.tune(*task.seen(bundle, held_out))
    validation = Validation(
        thresholds=dict(bundle.model.thresholds),
        n_images=len(held_out),
        scores=task.scores(bundle, held_out, bundle.run.precision),
    )
    return replace(bundle, run=bundle.run.model_copy(update={"validation": validation}))


def _split(samples: Sequence[Sample], split: str) -> list[Sample]:
    chosen = [sample for sample in samples if sample.split == split]
    if not chosen:
        raise InputError(
            f"The manifest has {len(samples)} images but none in the split {split!r}; training needs train and val. "
            "Process a dataset that has them (data_download.datasets)."
        )
    return chosen


def _settings(
    parameters: Mapping[str, Any],
    sampling: BaseModel | None,
    config: TrainingConfig | None,
    transforms: tuple[Transform, ...],
    augmenter: Augmenter | None,
) -> dict[str, Any]:
    """Collect everything that was configured, as JSON types."""
    return {
        "model": dict(parameters),
        "sampling": sampling.model_dump(mode="json") if sampling else None,
        "training": config.model_dump(mode="json") if config else None,
        "preprocessing": [transform.model_dump(mode="json") for transform in transforms],
        "augmentation": augmenter.to_dict() if augmenter else None,
    }


def _identity(settings: dict[str, Any], digest: str, first_weights: list[NDArray]) -> str:
    """Compute the name of a training from its settings, samples and initial weights."""
    training = {key: value for key, value in settings["training"].items() if key not in _IGNORED_IN_ID}
    for name, default in (("minutes", None), ("trunk_rate", 1.0), ("trunk_after", 0)):
        if training[name] == default:  # a training of an earlier version goes on
            del training[name]
    sampling = settings["sampling"] and dict(settings["sampling"])
    if sampling and sampling.get("enlarge", ()) is None:
        del sampling["enlarge"]
    text = json.dumps([{**settings, "training": training, "sampling": sampling}, digest], sort_keys=True)
    identity = hashlib.sha256(text.encode())
    for weights in first_weights:
        identity.update(weights.tobytes())
    return identity.hexdigest()[:12]


def _fit(
    model: Model,
    feed: PatchFeed,
    validation: tuple[NDArray, tuple[NDArray, ...]],
    config: TrainingConfig,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    first_epoch = len(callbacks[-1].history)
    if first_epoch:
        logger.info("Resuming the interrupted training after epoch %d.", first_epoch)
    model.compile(make_optimizer(config, model.keras_model))
    model.keras_model.optimizer.build(model.keras_model.trainable_variables)
    try:
        model.keras_model.fit(
            feed.dataset(first_epoch),
            shuffle=False,  # the feed shuffles by itself
            validation_data=validation,
            validation_batch_size=config.batch_size,
            initial_epoch=first_epoch,
            epochs=config.epochs,
            steps_per_epoch=config.steps_per_epoch,
            callbacks=callbacks,
            verbose=1 if sys.stdout.isatty() else 0,
        )
    except tf.errors.OpError as error:
        raise feed.error or error from error


def _announce(training: list[Sample], validation: list[Sample]) -> None:
    for split, samples in (("Train", training), ("Validate", validation)):
        counts = Counter(sample.modality for sample in samples)
        by_modality = ", ".join(f"{count} {modality}" for modality, count in sorted(counts.items()))
        known = [sample.n_nuclei for sample in samples if sample.n_nuclei is not None]
        n_nuclei = f", {sum(known)} nuclei" if known else ""
        logger.info("%s on %d images (%s)%s.", split, len(samples), by_modality, n_nuclei)
