"""Nodes of pseudo_labelling."""

from pathlib import Path
from typing import Any

import pandas as pd

from nucseg.core.types import Sample
from nucseg.datasets.config import ProcessingConfig
from nucseg.models.bundle import ModelBundle
from nucseg.training.pseudo_config import PseudoConfig


def train_in_rounds(
    samples: list[Sample],
    augmenter: dict[str, Any],
    preprocessing: ProcessingConfig,
    config: PseudoConfig,
    folder: Path,
) -> tuple[ModelBundle, pd.DataFrame]:
    """Train a model from a few outlined areas, in rounds.

    Args:
        samples: The manifest; what is not outlined is void.
        augmenter: The serialised augmenter.
        preprocessing: The transforms, which become part of the model.
        config: Rounds, networks and trainings.
        folder: Folder for masks and checkpoints.

    Returns:
        The model of the best round, and one row per round.
    """
    from nucseg.augment.augmenter import Augmenter
    from nucseg.datasets.folders import find_images
    from nucseg.finetuning.pseudo import train_in_rounds as train
    from nucseg.finetuning.pseudo import unlabelled_samples

    labelled = train(
        samples,
        unlabelled_samples(find_images(config.images), folder / "unlabelled") if config.images else [],
        config,
        transforms=preprocessing.transforms,
        augmenter=Augmenter.from_dict(augmenter),
        folder=folder,
        name="pseudo_labelling",
    )
    return labelled.bundle, labelled.table
