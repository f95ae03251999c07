"""The images of a folder of results, as the page shows them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nucseg.batch.nuclei import NucleiResults
from nucseg.batch.results import FoundPlane
from nucseg.batch.stored import StoredImage, load_stored, rows_with_results
from nucseg.core.errors import InputError
from nucseg.core.validation import checked
from nucseg.images.find import FoundImage
from nucseg.look.view import LARGEST, view_of
from nucseg.reporting.options import BatchOptions

TOGETHER = 4 * LARGEST
"""Pixels of all images of one page, all channels together."""


def views_of_results(output: Path, names: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Read the images of a folder of results with their nuclei, as `view_of` returns them.

    Args:
        output: A folder that `nucseg predict` has written.
        names: The images to read, as the column `image` of its summary names them; all if none is given.

    Raises:
        InputError: The folder holds no results or not those of an image, or they are too large for one page.
    """
    rows = {row["image"]: row for row in rows_with_results(output)}
    if unknown := [name for name in names if name not in rows]:
        raise InputError(f"{output}: has no image named {unknown[0]!r}; there are {', '.join(list(rows)[:5])}.")
    pixels = 0
    for name in names or rows:
        view = _view(load_stored(output, rows[name]))
        pixels += view["height"] * view["width"] * len(view["channels"])
        if pixels > TOGETHER:
            raise InputError(f"{output}: its images are too large for one page; choose some of them (--image).")
        yield view


def _view(stored: StoredImage) -> dict[str, Any]:
    options = checked(BatchOptions, stored.options)
    results = NucleiResults(options)
    found, sources = stored.opened(options, results)
    kept = [results.kept(nuclei, source) for nuclei, source in zip(found, sources, strict=True)]
    planes = [FoundPlane(*each) for each in zip(stored.stack.planes, kept, sources, results.numbers(kept), strict=True)]
    field, *_ = results.fields(planes, stored.stack, FoundImage(stored.facts[0].image, stored.name))
    return view_of(field)
