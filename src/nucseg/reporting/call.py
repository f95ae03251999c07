"""What `nucseg.write` does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nucseg.core.checks import check_label_image
from nucseg.core.errors import InputError
from nucseg.core.files import atomic_files
from nucseg.core.types import Instances
from nucseg.core.validation import checked
from nucseg.images.given import given_image
from nucseg.images.places import image_stem
from nucseg.images.planes import Channel
from nucseg.images.scenes import Scene
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.measurements.call import given_channels
from nucseg.measurements.field import Field
from nucseg.measurements.sizes import length_in_pixels
from nucseg.reporting.formats.registry import format_paths, write_format
from nucseg.reporting.options import BatchOptions


def write_found(
    found: Instances,
    image: Any,
    folder: str | Path,
    *,
    formats: str | Sequence[str],
    name: str | None,
    channel: Channel,
    scene: Scene,
    plane: str | Sequence[str],
    measure: str | Sequence[str] | None,
    expand: float | str | None,
    pixel_size: float | tuple[float, float] | None,
    overwrite: bool,
) -> list[Path]:
    """Write nuclei in some formats; see `nucseg.write`."""
    options = checked(
        BatchOptions,
        {
            "formats": _several(formats),
            "channel": channel,
            "scene": scene,
            "plane": plane,
            "measure": _several(measure or ()),
            "expand": expand,
        },
    )
    source, chosen = given_image(image, options.channel, options.plane, options.scene)
    check_label_image(found.labels, "found")
    if source.shape[:2] != found.labels.shape or found.labels.max(initial=0) != len(found):
        raise InputError(
            f"found: {len(found)} nuclei in {found.labels.shape} do not belong to the image of {source.shape[:2]}; "
            "give what nucseg.predict found in it."
        )
    if pixel_size:
        source = replace(source, pixel_size=(pixel_size,) * 2 if isinstance(pixel_size, int | float) else pixel_size)
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


def _several(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
