"""Results of jobs to look at, and corrected nuclei: knows no HTTP."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nucseg.core.types import Instances
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.look.corrected import read_corrected
from nucseg.look.view import check_size, view_of
from nucseg.measurements.field import Field
from nucseg.reporting.formats.registry import FORMATS, write_format
from nucseg.serving.errors import ExpiredJobError
from nucseg.serving.jobs.queue import JobQueue, upload_key
from nucseg.serving.plane import DataPlane
from nucseg.serving.temporary import temporary_folder

CORRECTED_FORMATS = tuple(name for name in FORMATS if name not in ("cells", "tracks"))
"""The formats in which corrected nuclei are written: all but those of cells and of stacks."""

Waiting = Callable[[], None]


class Corrections:
    """Shows results of jobs, and writes what is corrected of them.

    Args:
        queue: The jobs.
        plane: Opens their images.
    """

    def __init__(self, queue: JobQueue, plane: DataPlane) -> None:
        self._queue = queue
        self._plane = plane

    def view(self, job_id: str, name: str, waiting: Waiting) -> dict[str, Any]:
        """Return what the page shows of a job's result; see `view_of`.

        Args:
            job_id: The job.
            name: What the image is called on the page.
            waiting: Called repeatedly; an exception that it raises ends the work.

        Raises:
            UnfinishedJobError: There is no result, or not as GeoJSON.
            ExpiredJobError: It has expired.
            InputError: It is more than the page shows.
        """
        pieces, _ = self._queue.result(job_id, "geojson")
        content = b"".join(pieces)
        with self.opened(job_id, name, waiting) as field:
            return view_of(_with(field, content, "the result"))

    def write(self, job_id: str, name: str, content: bytes, format_name: str, folder: Path, waiting: Waiting) -> Path:
        """Write corrected nuclei of a job's image in a format; several files and folders become a zip.

        Args:
            job_id: The job.
            name: What the files are called, without suffix.
            content: GeoJSON, see `read_corrected`.
            format_name: One of `CORRECTED_FORMATS`.
            folder: An empty folder for the file.
            waiting: As of `view`.

        Raises:
            InputError: The nuclei are not those of the image, or cannot be written so.
        """
        with self.opened(job_id, name, waiting) as field:
            paths = write_format(format_name, _with(field, content, "the corrections"), folder / "files")
        if len(paths) == 1 and paths[0].is_file():
            return paths[0]
        return Path(shutil.make_archive(str(folder / f"{name}-{format_name}"), "zip", paths[0].parent))

    @contextmanager
    def opened(self, job_id: str, name: str, waiting: Waiting) -> Iterator[Field]:
        """Open the image of a job, with the channels that are measured, and without nuclei.

        Args:
            job_id: The job.
            name: What the image is called.
            waiting: As of `view`.

        Raises:
            ExpiredJobError: The image has expired.
            InputError: It is more than the page shows.
        """
        job = self._queue.get(job_id)
        with temporary_folder() as temporary:
            upload = temporary / "upload"
            try:
                self._queue.storage.get(upload_key(job_id), upload)
            except FileNotFoundError:
                raise ExpiredJobError("the image has expired; submit it again.") from None
            with upload.open("rb") as stream:
                source = self._plane.open(stream, waiting, job.channel)
                if job.pixel_size is not None:
                    source = replace(source, pixel_size=(job.pixel_size,) * 2)
                channels = self._plane.channels(stream, source, waiting) if job.channel is not None else ()
                shape = (source.shape[0], source.shape[1])
                field = Field(StitchedLabels.of(Instances.none(shape)), source, name, channels)
                check_size(field)
                yield field


def _with(field: Field, content: bytes, what: str) -> Field:
    found = read_corrected(content, field.nuclei.shape, what)
    return replace(field, nuclei=StitchedLabels.of(found))
