"""Images at the scale at which a model will see them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nucseg.core.types import Sample
from nucseg.images.geometry import resize_image, resize_labels, scaled_shape
from nucseg.images.intensity import to_unit_float
from nucseg.images.io import read_image, read_labels, write_image, write_labels
from nucseg.inference.instances.scale import LARGEST, SCALES
from nucseg.masks.labels import median_diameter, relabel


def as_seen(samples: Sequence[Sample], folder: Path) -> list[Sample]:
    """Shrink images whose nuclei are larger than a model knows, as `scale: auto` does when they are predicted.

    Args:
        samples: The images.
        folder: Where the shrunk images and label images are written.

    Returns:
        The samples in the same order; those with smaller nuclei, or none, unchanged.
    """
    return [_shrunk(sample, folder) for sample in samples]


def _shrunk(sample: Sample, folder: Path) -> Sample:
    diameter = sample.median_diameter_px or 0.0
    scale = next((each for each in SCALES if diameter * each <= LARGEST), SCALES[-1])
    if scale == 1:
        return sample
    shape = scaled_shape((sample.height, sample.width), scale)
    image = read_image(sample.image_path)
    resized = resize_image(to_unit_float(image), shape)
    labels = relabel(resize_labels(read_labels(sample.label_file()), shape))
    paths = folder / f"images/{sample.key}.tif", folder / f"labels/{sample.key}.tif"
    write_image(paths[0], np.rint(resized * np.iinfo(image.dtype).max).astype(image.dtype))
    write_labels(paths[1], labels)
    return replace(
        sample,
        image_path=paths[0],
        label_path=paths[1],
        height=shape[0],
        width=shape[1],
        n_nuclei=int(labels.max()),
        median_diameter_px=median_diameter(labels),
    )
