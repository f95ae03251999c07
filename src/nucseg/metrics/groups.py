"""Groups of evaluated images of any task: the content of `metrics.json`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from nucseg.core.types import Sample
from nucseg.metrics.table import Metric

_SIZES = ((16, "0-16 px"), (32, "16-32 px"))  # diameters below this are called so
_LARGEST = "32 px or more"


def _size(sample: Sample) -> str | None:
    """Return the class of the median diameter of an image's nuclei; None without nuclei."""
    diameter = sample.median_diameter_px
    return None if diameter is None else next((name for limit, name in _SIZES if diameter < limit), _LARGEST)


GROUPINGS: Mapping[str, Callable[[Sample], str | None]] = {
    "dataset": lambda sample: sample.dataset,
    "modality": lambda sample: sample.modality,
    "size": _size,
    "test_class": lambda sample: sample.test_class,
}
"""The keys of `by` in `metrics.json`, in the order of the report, and the group of an image; None is no group."""


class Evaluated(Protocol):
    """What is kept of one evaluated image of any task."""

    @property
    def sample(self) -> Sample:
        """Its row of the manifest."""
        ...


Image = TypeVar("Image", bound=Evaluated)


def metrics_record(
    model: str,
    images: Sequence[Image],
    scores: Callable[[Sequence[Image]], Mapping[str, Any]],
    rows: Iterable[Metric],
) -> dict[str, Any]:
    """Compute the content of `metrics.json`.

    Args:
        model: Name of the model.
        images: The evaluated images, in an order that does not depend on the run.
        scores: Computes the numbers of a group of images, by key, counts first.
        rows: The metrics of the keys.

    Returns:
        `model`, `n_images`, `overall`, `by` (for each of `GROUPINGS`, a group like `overall` for each value; images
        without a value are in none) and `metrics`, the rows of the keys in their order. JSON types only.
    """
    by: dict[str, dict[str, Any]] = {}
    for grouping, group_of in GROUPINGS.items():
        members: dict[str, list[Image]] = {}
        for image in images:
            if (name := group_of(image.sample)) is not None:
                members.setdefault(name, []).append(image)
        by[grouping] = {name: scores(members[name]) for name in sorted(members)}
    overall = scores(images)
    known = {row.key: row for row in rows}
    return {
        "model": model,
        "n_images": len(images),
        "overall": overall,
        "by": by,
        "metrics": [asdict(known[key]) for key in overall],
    }
