"""Nodes of model_training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from nucseg.core.types import Sample
from nucseg.datasets.config import ProcessingConfig
from nucseg.models.bundle import ModelBundle
from nucseg.tasks import patches, task_of
from nucseg.tasks.base import Task
from nucseg.training.config import PointSamplingConfig, TrainingConfig


def trainer(model: str) -> Callable[..., ModelBundle]:
    """Create the node function that trains one model.

    Args:
        model: A name of `nucseg.models.registry.project_models`.
    """

    def train(
        samples: list[Sample],
        augmenter: dict[str, Any],
        preprocessing: ProcessingConfig,
        architecture: dict[str, Any],
        sampling: Any,
        training: TrainingConfig,
        folder: Path,
    ) -> ModelBundle:
        """Train a model on the train split, or use a pretrained one as is if `fine_tune` is false.

        A training that was stopped is resumed.

        Args:
            samples: The manifest.
            augmenter: The serialised augmenter.
            preprocessing: The transforms, which become part of the model.
            architecture: The model's own parameters.
            sampling: Which patches of which images are drawn: what becomes a `SAMPLING` of the task.
            training: Length, rate, precision and seed.
            folder: Folder for checkpoints and TensorBoard logs.

        Returns:
            The model with the weights that `training.keep` names, or the pretrained ones.
        """
        import keras

        from nucseg.augment.augmenter import Augmenter
        from nucseg.models.registry import create_model, project_models
        from nucseg.training.train import bundle_pretrained
        from nucseg.training.train import train as train_model

        keras.utils.set_random_seed(training.seed)  # patches are drawn with separate seeds
        task, network = task_of(model), create_model(project_models()[model], architecture)
        if not architecture.get("fine_tune", True):
            return bundle_pretrained(
                samples,
                network,
                transforms=preprocessing.transforms,
                config=training,
                name=model,
                parameters=architecture,
            )
        return train_model(
            samples,
            network,
            task=task.training(),
            transforms=preprocessing.transforms,
            augmenter=Augmenter.from_dict(augmenter),
            sampling=task.SAMPLING.model_validate(sampling),
            config=training,
            folder=folder,
            name=model,
            parameters=architecture,
        )

    return train


def tuner(task: Task) -> Callable[..., ModelBundle]:
    """Create the node function that chooses the thresholds of a model of a task."""

    def tune(trained: ModelBundle, samples: list[Sample]) -> ModelBundle:
        """Choose the model's thresholds on the validation split.

        Args:
            trained: The trained model.
            samples: The manifest.

        Returns:
            The model with its thresholds.
        """
        from nucseg.training.train import tune_thresholds

        return tune_thresholds(trained, samples, task.training())

    return tune


def mine(trained: ModelBundle, samples: list[Sample], sampling: Any) -> pd.DataFrame:
    """Find the negatives of the train split that a first model of patches takes for class 1.

    Args:
        trained: The first model.
        samples: The manifest.
        sampling: How negatives are found; a `hard_share` of 0 finds none.

    Returns:
        One row per negative.
    """
    return patches.mine(trained, samples, PointSamplingConfig.model_validate(sampling))


def retrainer(model: str) -> Callable[..., ModelBundle]:
    """Create the node function that trains one model of patches again, with the negatives that the first mistook.

    Args:
        model: A name of `nucseg.models.registry.project_models`.
    """
    train = trainer(model)

    def retrain(trained: ModelBundle, mined: pd.DataFrame, *inputs: Any) -> ModelBundle:
        """Train again from the initial weights.

        Args:
            trained: The first model, which is returned if nothing was mined.
            mined: From `mine`.
            *inputs: Those of the first training.

        Returns:
            The model with the weights that `training.keep` names.
        """
        if mined.empty:
            return trained
        samples, augmenter, preprocessing, architecture, sampling, training, folder = inputs
        sampling = patches.with_mined(PointSamplingConfig.model_validate(sampling), mined)
        preprocessing = ProcessingConfig.model_validate(preprocessing)
        training = TrainingConfig.model_validate(training)
        return train(samples, augmenter, preprocessing, architecture, sampling, training, folder)

    return retrain
