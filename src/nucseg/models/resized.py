"""What is found in a resized image, in the frame of the image."""

from collections.abc import Mapping

from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.images.geometry import vote_labels_part

_LARGEST_FACTOR = 2.0  # for the smallest area: in an image that is enlarged further, nuclei may be as small as it


def at_scale(thresholds: Mapping[str, float], scale: float) -> dict[str, float]:
    """Return thresholds for an image that is resized by `scale`.

    The smallest area counts pixels of the image where it is enlarged, up to twice: with its pixels its annotators saw
    what was too small to outline. It counts pixels of the network where the image is shrunk or enlarged further.
    """
    if "area" not in thresholds:
        return dict(thresholds)
    return {**thresholds, "area": thresholds["area"] * min(max(scale, 1.0), _LARGEST_FACTOR) ** 2}


def resize_instances(found: Instances, shape: tuple[int, int]) -> Instances:
    """Resize the label image of nuclei to `shape` rows and columns, by vote; those left without any pixel go."""
    if found.labels.shape == shape:
        return found
    whole, new = Window.whole(found.labels.shape), Window.whole(shape)
    return Instances(vote_labels_part(found.labels, whole, whole.shape, new, shape), found.scores).from_area(1)
