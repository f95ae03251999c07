"""The results of `nucseg predict` and `nucseg refine`: the nuclei of each image in the formats that were asked for."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nucseg.batch.results import Results
from nucseg.batch.summary import NUCLEI
from nucseg.core.errors import InputError, NucsegError
from nucseg.images.find import FoundImage
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.measurements.channels import open_channels, partner_versions
from nucseg.measurements.field import Field, MeasuredChannel
from nucseg.measurements.filters import kept_nuclei
from nucseg.measurements.sizes import area_in_pixels, length_in_pixels
from nucseg.reporting.formats.registry import format_paths, write_format
from nucseg.reporting.options import BatchOptions


class NucleiResults(Results):
    """The nuclei that pass the filters, in some formats; see `Results`.

    Args:
        options: The formats, filters and what is measured.
    """

    summary = NUCLEI

    def __init__(self, options: BatchOptions) -> None:
        self._options = options
        self._channels: dict[str, tuple[MeasuredChannel, ...]] = {}  # opened, of images that are not written yet

    def settings(self, image: FoundImage) -> dict[str, Any]:
        """Return what identifies the other files that are measured."""
        return {"measured": partner_versions(self._options.measure, image.url)}

    def paths(self, folder: Path, name: str) -> list[Path]:
        """Return the files of all formats."""
        return format_paths(folder, name, list(self._options.formats))

    def opened(self, source: ImageSource, image: FoundImage) -> ImageSource:
        """Open the channels that are measured, and note which they are.

        Raises:
            InputError: One cannot be measured, or micrometres were given and the pixel size is unknown.
        """
        self._areas(source)
        self._expansion(source)
        if not self._options.measure:
            return source
        self._channels[image.name], notes = open_channels(self._options.measure, image.url, source)
        return replace(source, notes=source.notes + notes)

    def kept(self, nuclei: StitchedLabels, source: ImageSource) -> StitchedLabels:
        """Return the nuclei that pass the filters."""
        smallest, largest = self._areas(source)
        if smallest == 0 and largest == np.inf and not self._options.exclude_border:
            return nuclei
        kept = kept_nuclei(nuclei, min_area=smallest, max_area=largest, exclude_border=self._options.exclude_border)
        return nuclei.only(kept, as_obstacles=True)

    def write(
        self, nuclei: StitchedLabels, source: ImageSource, folder: Path, image: FoundImage
    ) -> Mapping[str, str | int | float]:
        """Write all formats."""
        channels = self._channels.pop(image.name, ())
        field = Field(nuclei, source, image.name, channels, self._expansion(source))
        for given in self._options.formats:
            try:
                write_format(given, field, folder)
            except NucsegError:
                raise
            except Exception as error:  # writers raise all kinds of exceptions
                why = " ".join(f"{type(error).__name__}: {error}".split())
                raise InputError(
                    f"{image.url}: cannot be written as {given} ({why}); none of its results is written. "
                    "Choose other formats."
                ) from error
        return {}

    def _areas(self, source: ImageSource) -> tuple[float, float]:
        """Return the smallest and the largest area to keep, in pixels."""
        options, size, name = self._options, source.pixel_size, source.name
        smallest = area_in_pixels(options.min_area, size, "--min-area", name) if options.min_area else 0.0
        largest = area_in_pixels(options.max_area, size, "--max-area", name) if options.max_area else np.inf
        return smallest, largest

    def _expansion(self, source: ImageSource) -> float:
        size = self._options.expand
        return length_in_pixels(size, source.pixel_size, "--expand", source.name) if size else 0.0
