"""Nodes of data_augmentations."""

from typing import Any

from matplotlib.figure import Figure

from nucseg.augment.config import AugmentationConfig
from nucseg.core.types import Sample


def define_augmenter(config: AugmentationConfig) -> dict[str, Any]:
    """Build the augmenter and serialise it.

    Args:
        config: The augmentations in their order.

    Returns:
        The definition from which training builds the same augmenter.
    """
    from nucseg.augment.augmenter import Augmenter

    return Augmenter.from_config(config).to_dict()


def preview(augmenter: dict[str, Any], samples: list[Sample]) -> Figure:
    """Draw a few training images beside augmented versions of them.

    Args:
        augmenter: The serialised augmenter.
        samples: The manifest.

    Returns:
        The sheet.
    """
    from nucseg.augment.augmenter import Augmenter
    from nucseg.augment.preview import preview_sheet

    return preview_sheet(samples, Augmenter.from_dict(augmenter))
