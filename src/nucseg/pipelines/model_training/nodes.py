"""Nodes of model_training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nucseg.core.types import Sample
from nucseg.datasets.config import ProcessingConfig
from nucseg.models.bundle import ModelBundle
from nucseg.training.config import SamplingConfig, TrainingConfig


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
        sampling: SamplingConfig,
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
            sampling: Which patches of which images are drawn.
            training: Length, rate, precision and seed.
            folder: Folder for checkpoints and TensorBoard logs.

        Returns:
            The model with the weights that were best on the validation split, or the pretrained ones.
        """
        import keras

        from nucseg.augment.augmenter import Augmenter
        from nucseg.models.registry import create_model, project_models
        from nucseg.training.train import bundle_pretrained
        from nucseg.training.train import train as train_segmenter

        keras.utils.set_random_seed(training.seed)  # patches are drawn with separate seeds
        segmenter = create_model(project_models()[model], architecture)
        if not architecture.get("fine_tune", True):
            return bundle_pretrained(
                samples,
                segmenter,
                transforms=preprocessing.transforms,
                config=training,
                name=model,
                parameters=architecture,
            )
        return train_segmenter(
            samples,
            segmenter,
            transforms=preprocessing.transforms,
            augmenter=Augmenter.from_dict(augmenter),
            sampling=sampling,
            config=training,
            folder=folder,
            name=model,
            parameters=architecture,
        )

    return train


def tune(trained: ModelBundle, samples: list[Sample]) -> ModelBundle:
    """Choose the model's thresholds on the validation split.

    Args:
        trained: The trained model.
        samples: The manifest.

    Returns:
        The model with its thresholds.
    """
    from nucseg.training.train import tune_thresholds

    return tune_thresholds(trained, samples)
