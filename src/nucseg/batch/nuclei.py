"""The results of `nucseg predict` and `nucseg refine`: the nuclei of each image in the formats that were asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.batch.results import FoundPlane, Results
from nucseg.batch.summary import NUCLEI
from nucseg.core.errors import InputError, NucsegError
from nucseg.core.window import Window
from nucseg.images.content import Stack
from nucseg.images.find import FoundImage
from nucseg.images.open import open_content
from nucseg.images.plane_choice import Plane
from nucseg.images.source import ImageSource
from nucseg.inference.instances.linking import linked_numbers
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.measurements.channels import open_channels, partner_versions
from nucseg.measurements.field import Field, MeasuredChannel
from nucseg.measurements.filters import kept_nuclei
from nucseg.measurements.sizes import area_in_pixels, length_in_pixels
from nucseg.reporting.formats.registry import check_planes, format_paths, write_planes
from nucseg.reporting.options import BatchOptions


class NucleiResults(Results):
    """The nuclei that pass the filters, in some formats; see `Results`.

    Args:
        options: The formats, filters and what is measured.
    """

    summary = NUCLEI

    def __init__(self, options: BatchOptions) -> None:
        self._options = options

    def settings(self, image: FoundImage) -> dict[str, Any]:
        """Return what identifies the other files that are measured."""
        return {"measured": partner_versions(self._options.measure, image.url)}

    def paths(self, folder: Path, name: str) -> list[Path]:
        """Return the files of all formats."""
        return format_paths(folder, name, list(self._options.formats))

    def opened(self, source: ImageSource, image: FoundImage, stack: Stack) -> ImageSource:
        """Check that the results can be written, and note which channels are measured.

        Raises:
            InputError: A channel cannot be measured, a format cannot hold several planes, or micrometres were given and
                the pixel size is unknown.
        """
        check_planes(self._options.formats, len(stack.planes), source.name)
        if self._options.link and len(stack.axes) > 1:
            raise InputError(
                f"{source.name}: nuclei are linked along one axis; choose one plane of the other, such as "
                f"{stack.axes[0][0]}=0, or leave out --link."
            )
        self._areas(source)
        self._expansion(source)
        if not self._options.measure:
            return source
        _, notes = _ChannelOpener(self._options, image.url).opened(stack.planes[0], source)
        return replace(source, notes=source.notes + notes)

    def kept(self, nuclei: StitchedLabels, source: ImageSource) -> StitchedLabels:
        """Return the nuclei that pass the filters."""
        smallest, largest = self._areas(source)
        if smallest == 0 and largest == np.inf and not self._options.exclude_border:
            return nuclei
        kept = kept_nuclei(nuclei, min_area=smallest, max_area=largest, exclude_border=self._options.exclude_border)
        return nuclei.only(kept, as_obstacles=True)

    def numbers(self, planes: Sequence[StitchedLabels]) -> list[NDArray[np.int64]]:
        """Return the number of each nucleus of each plane: by its track, or counted through all planes."""
        return linked_numbers(planes, self._options.link_iou) if self._options.link else super().numbers(planes)

    def write(
        self, planes: Sequence[FoundPlane], stack: Stack, folder: Path, image: FoundImage
    ) -> Mapping[str, str | int | float]:
        """Write all formats."""
        fields = self.fields(planes, stack, image)
        for given in self._options.formats:
            try:
                write_planes(given, fields, folder)
            except NucsegError:
                raise
            except Exception as error:  # writers raise all kinds of exceptions
                why = " ".join(f"{type(error).__name__}: {error}".split())
                raise InputError(
                    f"{image.url}: cannot be written as {given} ({why}); none of its results is written. "
                    "Choose other formats."
                ) from error
        return {}

    def fields(self, planes: Sequence[FoundPlane], stack: Stack, image: FoundImage) -> list[Field]:
        """Return the nuclei of each plane with what is measured of them.

        Args:
            planes: The nuclei found in each plane.
            stack: Which planes these are.
            image: The image's name and place.
        """
        opener = _ChannelOpener(self._options, image.url)
        return [
            Field(
                plane.nuclei,
                plane.source,
                image.name,
                opener.channels(plane),
                self._expansion(plane.source),
                plane.plane,
                stack.axes,
                plane.numbers,
            )
            for plane in planes
        ]

    def _areas(self, source: ImageSource) -> tuple[float, float]:
        """Return the smallest and the largest area to keep, in pixels."""
        options, size, name = self._options, source.pixel_size, source.name
        smallest = area_in_pixels(options.min_area, size, "--min-area", name) if options.min_area else 0.0
        largest = area_in_pixels(options.max_area, size, "--max-area", name) if options.max_area else np.inf
        return smallest, largest

    def _expansion(self, source: ImageSource) -> float:
        size = self._options.expand
        return length_in_pixels(size, source.pixel_size, "--expand", source.name) if size else 0.0


class _ChannelOpener:
    """Opens the measured channels of one plane after another, and each file once.

    Args:
        options: What is measured, and in which scene of the image's file.
        url: The image's path or URL.
    """

    def __init__(self, options: BatchOptions, url: str) -> None:
        self._measured = options.measure
        self._url = url
        # Other files of the field are opened as they are: the scene is one of the image's file.
        self._content = cache(lambda file: open_content(file, options.scene if file == url else None))
        self._kept = lru_cache(maxsize=1)(self.opened)  # of one plane at a time
        self._first: tuple[MeasuredChannel, ...] = ()

    def channels(self, plane: FoundPlane) -> tuple[MeasuredChannel, ...]:
        """Return the channels of a plane, whose pixels are opened when they are needed."""
        if not self._measured:
            return ()
        # All planes of a file have the same channels.
        self._first = self._first or self.opened(plane.plane, plane.source)[0]

        def read(number: int, window: Window) -> NDArray:
            return self._kept(plane.plane, plane.source)[0][number].source.read(window)

        return tuple(
            replace(channel, source=replace(channel.source, read=partial(read, number)))
            for number, channel in enumerate(self._first)
        )

    def opened(self, plane: Plane, source: ImageSource) -> tuple[tuple[MeasuredChannel, ...], tuple[str, ...]]:
        """Open the channels of a plane, and note which they are; see `open_channels`."""
        return open_channels(self._measured, self._url, source, plane, self._content)
