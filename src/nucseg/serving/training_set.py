"""The corrected images that a model is trained on, kept in the storage until they are cleared: knows no HTTP."""

import re
import zipfile
from collections.abc import Callable

import numpy as np

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.core.words import counted
from nucseg.finetuning.splits import FEWEST
from nucseg.images.io import write_image, write_labels
from nucseg.look.corrected import read_corrected
from nucseg.models.registry import known_models, models_folder
from nucseg.serving.corrections import Corrections
from nucseg.serving.errors import NotNowError
from nucseg.serving.jobs.queue import JobQueue, Submission
from nucseg.serving.temporary import temporary_folder

MOST = 500
"""Images of a training."""

_IMAGES, _LABELS = "training/images", "training/labels"
_STRANGE = re.compile(r"[^A-Za-z0-9_. -]")


class TrainingSet:
    """Images with corrected nuclei, one set for all users of a server.

    Args:
        queue: Keeps the files, and queues trainings.
        corrections: Opens the images of jobs.
    """

    def __init__(self, queue: JobQueue, corrections: Corrections) -> None:
        self._queue = queue
        self._storage = queue.storage
        self._corrections = corrections

    def names(self) -> list[str]:
        """Return the names of the images."""
        labels = set(self._storage.names(_LABELS))
        return [name for name in self._storage.names(_IMAGES) if name in labels]

    def clear(self) -> None:
        """Remove all images."""
        self._storage.delete("training")

    def add(self, job_id: str, name: str, content: bytes, waiting: Callable[[], None]) -> None:
        """Add the image of a job with its corrected nuclei; if it was added before, its nuclei are replaced.

        Args:
            job_id: The job.
            name: What the image is called.
            content: GeoJSON, see `read_corrected`.
            waiting: Called repeatedly; an exception that it raises ends the work.

        Raises:
            InputError: The nuclei are not those of the image, or a model cannot be trained on such an image.
            NotNowError: There are as many images as there may be.
        """
        file = f"{_STRANGE.sub('_', name)}-{job_id[:8]}.tif"
        kept = self.names()
        if file not in kept and len(kept) >= MOST:
            raise NotNowError(f"the training set has {len(kept)} images, which is the most; train, or clear it.")
        with self._corrections.opened(job_id, name, waiting) as field, temporary_folder() as folder:
            source = field.source
            if source.dtype not in (np.uint8, np.uint16):
                raise InputError(f"image: has the dtype {source.dtype}; models are trained on images of 8 or 16 bits.")
            nuclei = read_corrected(content, field.nuclei.shape, "the corrections")
            write_image(folder / "image.tif", source.read(Window.whole(source.shape)))
            write_labels(folder / "labels.tif", nuclei.labels)
            self._storage.put(folder / "labels.tif", f"{_LABELS}/{file}")
            self._storage.put(folder / "image.tif", f"{_IMAGES}/{file}")

    def train(self, *, model: str | None, name: str, minutes: float, submission: Submission) -> str:
        """Queue a training on the images that are there now.

        Args:
            model: The model to start from; None is the default model.
            name: Name of the new model, which fits `MODEL_NAME`.
            minutes: Time for it.
            submission: Through it the job can be withdrawn while it is being accepted.

        Returns:
            The job's id.

        Raises:
            NotNowError: There are too few images, or the name is in use.
        """
        if name in known_models() or (models_folder() / name).exists():
            raise NotNowError(f"name: there is a model {name} already, and a training does not replace it.")
        names = self.names()
        if len(names) < FEWEST:
            raise NotNowError(
                f"the training set has {counted(len(names), 'image')}; a training needs at least {FEWEST}."
            )
        with temporary_folder() as folder:
            packed = folder / "images.zip"
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
                for kind, key in (("images", _IMAGES), ("labels", _LABELS)):
                    for each in names:
                        self._storage.get(f"{key}/{each}", folder / "file")
                        archive.write(folder / "file", f"{kind}/{each}")
            with packed.open("rb") as stream:
                return self._queue.submit_training(
                    stream, model=model, name=name, minutes=minutes, submission=submission
                )
