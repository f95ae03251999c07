"""A picture of what the augmentation does."""

from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from skimage.segmentation import mark_boundaries

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.window import mirrored_window, value_range
from nucseg.core.errors import InputError
from nucseg.core.types import Sample
from nucseg.images.channels import to_rgb
from nucseg.images.intensity import to_unit_float
from nucseg.images.io import read_image, read_labels

_OUTLINE = (1.0, 0.85, 0.1)


def preview_sheet(
    samples: Sequence[Sample], augmenter: Augmenter, *, rows: int = 6, versions: int = 5, size: int = 256, seed: int = 0
) -> Figure:
    """Draw training patches, each beside several augmented versions of it, with the outlines of its labels.

    All pictures of a row have the same contrast, so that changes of brightness are visible.

    Args:
        samples: The manifest; patches come from its train split, alternating between modalities.
        augmenter: The augmenter to show.
        rows: Maximum number of patches.
        versions: Augmented versions of each.
        size: Side of a patch in pixels.
        seed: Random seed of the augmentations.

    Raises:
        InputError: The train split has no image.
    """
    chosen = _by_turns([sample for sample in samples if sample.split == "train"])[:rows]
    if not chosen:
        raise InputError("The augmentation preview needs an image of the train split, but the manifest has none.")
    figure = Figure(figsize=(2.6 * (versions + 1), 2.75 * len(chosen)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(chosen), versions + 1, squeeze=False)
    for row, sample in enumerate(chosen):
        image, labels = read_image(sample.image_path), read_labels(sample.label_file())
        center = (sample.height // 2, sample.width // 2)
        black_and_white = value_range(image)
        original, true_labels = mirrored_window(image, labels, center, size)
        window = mirrored_window(image, labels, center, int(np.ceil(size * augmenter.reach)))
        pictures = [(to_unit_float(original), true_labels)] + [
            augmenter(*window, seed + row * versions + version, size=(size, size), value_range=black_and_white)
            for version in range(versions)
        ]
        for axis, (picture, outlined) in zip(axes[row], pictures, strict=True):
            axis.imshow(_outlined(picture, outlined, black_and_white), interpolation="nearest")
            axis.set_axis_off()
        axes[row, 0].set_title(f"{sample.modality}, as stored", fontsize=9)
    figure.suptitle(f"Training patches ({size} x {size} pixels) and {versions} augmented versions of each", fontsize=11)
    return figure


def _by_turns(samples: list[Sample]) -> list[Sample]:
    modalities = sorted({sample.modality for sample in samples})
    queues = [[sample for sample in samples if sample.modality == modality] for modality in modalities]
    return [sample for sample in chain.from_iterable(zip_longest(*queues)) if sample is not None]


def _outlined(picture: NDArray[np.float32], labels: NDArray, limits: tuple[float, float]) -> NDArray[np.float32]:
    low, high = limits
    shown = to_rgb(((picture - low) / max(high - low, 1e-6)).clip(0, 1))
    return mark_boundaries(shown, labels, color=_OUTLINE, mode="inner").astype(np.float32)
