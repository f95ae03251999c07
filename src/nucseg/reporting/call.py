"""What `nucseg.write` does."""

import re
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from skimage.measure import label

from nucseg.core.checks import check_label_image, check_unmasked
from nucseg.core.errors import ConfigError, InputError
from nucseg.core.files import atomic_files
from nucseg.core.types import Instances
from nucseg.core.validation import checked
from nucseg.images.given import given_image
from nucseg.images.places import image_stem
from nucseg.images.planes import Channel
from nucseg.images.scenes import Scene
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.masks.labels import keep_largest_pieces
from nucseg.measurements.call import given_channels
from nucseg.measurements.channels import channel_texts
from nucseg.measurements.field import Field
from nucseg.measurements.sizes import checked_pixel_size, length_in_pixels
from nucseg.reporting.formats.registry import FORMATS, format_paths, write_format
from nucseg.reporting.options import BatchOptions

_LONGEST = 240  # bytes; file systems allow 255 for a part, of which suffixes need some
_UNWRITABLE = re.compile(r"[\0-\x1f\x7f\ud800-\udfff]")


def write_found(
    found: Any,
    image: Any,
    folder: str | Path,
    *,
    formats: str | Sequence[str],
    name: str | None,
    channel: Channel,
    scene: Scene,
    plane: str | Sequence[str],
    measure: str | int | Sequence[str | int] | None,
    expand: float | str | None,
    pixel_size: float | tuple[float, float] | None,
    overwrite: bool,
) -> list[Path]:
    """Write nuclei in some formats; see `nucseg.write`."""
    options = checked(
        BatchOptions,
        {
            "formats": _formats(formats),
            "channel": channel,
            "scene": scene,
            "plane": plane,
            "measure": () if measure is None else channel_texts(measure, "measure"),
            "expand": expand,
        },
    )
    size = checked_pixel_size(pixel_size)
    _check_name(name)
    if not isinstance(folder, str | Path):
        raise ConfigError(f"folder: {reprlib.repr(folder)} is not allowed; it must be a path.")
    if not isinstance(found, Instances):
        raise InputError(
            f"found: is of {type(found).__name__}, not the nuclei that nucseg.predict returns; give those, or "
            "nucseg.Instances(labels, scores)."
        )
    check_unmasked(image, "image")
    check_unmasked(found.labels, "found")
    check_unmasked(found.scores, "found")
    found = Instances(np.asarray(found.labels), np.asarray(found.scores))
    source, chosen = given_image(image, options.channel, options.plane, options.scene)
    check_label_image(found.labels, "found")
    if found.scores.ndim != 1 or source.shape[:2] != found.labels.shape or found.labels.max() != len(found):
        raise InputError(
            f"found: {found.scores.size} nuclei in {found.labels.shape} do not belong to the image of "
            f"{source.shape[:2]}; give what nucseg.predict found in it."
        )
    found = _whole_nuclei(found)
    if size:
        source = replace(source, pixel_size=size)
    channels = given_channels(image, options.measure, chosen, options.scene)[1] if options.measure else ()
    expansion = length_in_pixels(options.expand, source.pixel_size, "expand", source.name) if options.expand else 0.0
    called = name or (image_stem(str(image)) if isinstance(image, str | Path) else "image")
    field = Field(StitchedLabels.of(found), source, called, channels, expansion, chosen)
    output = Path(folder)
    paths = format_paths(output, called, list(options.formats))
    if not overwrite and (existing := next((path for path in paths if path.exists()), None)):
        raise InputError(f"{existing} exists; choose another folder or name, or overwrite=True.")
    with atomic_files(output, [str(path.relative_to(output)) for path in paths]) as temporary:
        for each in options.formats:
            write_format(each, field, temporary)
    return paths


def _whole_nuclei(found: Instances) -> Instances:
    """Return nuclei that every format can hold.

    Raises:
        InputError: A number is missing, a nucleus has several 4-connected pieces, or a score is not from 0 to 1.
    """
    found = Instances(found.labels.astype(np.int32, copy=False), found.scores)
    if missing := np.flatnonzero(found.areas == 0).tolist():
        raise InputError(
            f"found: no pixel has label {missing[0] + 1}; allowed are 1..{len(found)} without gaps. Number them anew, "
            "with the scores in the same order."
        )
    pieces = label(found.labels, background=0, connectivity=1, return_num=True)[1]
    if pieces > len(found):
        split = np.unique(found.labels[keep_largest_pieces(found.labels) != found.labels])
        raise InputError(
            f"found: label {split[0]} has several pieces, as have {len(split)} of {len(found)} in all; a nucleus is "
            "one 4-connected piece. Keep the largest, or number each piece with skimage.measure.label(labels, "
            "connectivity=1) and give it a score."
        )
    if found.scores.dtype.kind not in "buif":
        raise InputError(f"found: scores of dtype {found.scores.dtype} are no numbers; allowed are 0 to 1.")
    if (wrong := found.scores[~((found.scores >= 0) & (found.scores <= 1))]).size:  # NaN is wrong, too
        raise InputError(f"found: the score {wrong[0]} is not allowed; allowed are 0 to 1.")
    return Instances(found.labels, found.scores.astype(np.float32, copy=False))


def _check_name(name: Any) -> None:
    if name is None:
        return
    if (
        not isinstance(name, str)
        or not name
        or "/".join(PurePath(name).parts) != name  # absolute, or with a part that is empty or `.`
        or ".." in PurePath(name).parts
        or _UNWRITABLE.search(name)
        or len(name.encode()) > _LONGEST
    ):
        raise ConfigError(
            f"name: {reprlib.repr(name)} is not allowed; it must be a name, or a path below the folder such as "
            f"plate/A01, without `..` and control characters, of at most {_LONGEST} bytes."
        )


def _formats(given: Any) -> tuple[Any, ...]:
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Iterable):
        raise ConfigError(
            f"formats: {reprlib.repr(given)} is not allowed; it must be one or several of {', '.join(FORMATS)}."
        )
    return tuple(given)
