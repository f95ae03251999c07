"""How the images of a run fail, and what an earlier run has finished, whatever the results are."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nucseg.batch.record import ImageRecord
from nucseg.batch.result import ImageResult
from nucseg.core.errors import InputError, NucsegError
from nucseg.images.find import FoundImage
from nucseg.reporting.options import RunOptions

logger = logging.getLogger(__name__)


class _ResultsExistError(InputError):
    """An image has results, and neither `resume` nor `overwrite` was asked for."""


def outcome_of(image: FoundImage, predict: Callable[[FoundImage], ImageResult]) -> ImageResult:
    """Return the outcome of an image and the time that it took; a failure becomes part of the outcome.

    Args:
        image: The image.
        predict: Predicts it and writes its results.
    """
    started = time.perf_counter()
    try:
        if image.error:
            raise InputError(image.error)
        outcome = predict(image)
    except NucsegError as error:
        has_results = isinstance(error, _ResultsExistError)
        outcome = ImageResult(image.url, image.name, error=" ".join(str(error).split()), has_results=has_results)
    except Exception as error:  # a defect in one image must not cost the results of the others
        logger.debug("Traceback of %s", image.url, exc_info=True)
        why = " ".join(f"{type(error).__name__}: {error}".split())
        outcome = ImageResult(image.url, image.name, error=f"{image.url}: {why}")
    return replace(outcome, seconds=time.perf_counter() - started)


def earlier_outcome(
    image: FoundImage, record: ImageRecord, files: Sequence[Path], options: RunOptions
) -> ImageResult | None:
    """Return the outcome of the run that is resumed; None if the image has to be predicted.

    Unless a run is resumed, the tiles of earlier ones are deleted.

    Args:
        image: The image.
        record: Its record.
        files: The files of its results.
        options: Whether to resume or to overwrite.

    Raises:
        InputError: A file exists that may not be replaced.
    """
    if options.resume:
        known = record.finished(files)
        if known is None:
            return None
        return ImageResult(
            image.url,
            image.name,
            known.nuclei,
            tuple(files),
            incomplete=known.incomplete,
            skipped=True,
            figures=known.figures,
        )
    if not options.overwrite and (existing := next((file for file in files if file.exists()), None)):
        raise _ResultsExistError(f"{image.url}: {existing} exists; choose another folder, --resume or --overwrite.")
    record.forget_tiles()
    return None
