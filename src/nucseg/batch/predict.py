"""Predict many images and write what was found; an image that fails does not stop the others."""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from fsspec.core import url_to_fs

from nucseg.batch.progress import Progress
from nucseg.batch.record import ImageRecord
from nucseg.core.errors import InputError, NucsegError
from nucseg.images.open import image_stem, open_image
from nucseg.images.planes import Channel
from nucseg.images.source import ImageSource
from nucseg.inference.engine import Engine
from nucseg.inference.mosaic import Mosaic
from nucseg.inference.predictor import Predictor
from nucseg.inference.tiled import tile_job
from nucseg.reporting.formats.registry import format_paths, write_format

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchOptions:
    """How images are predicted and written.

    Attributes:
        formats: Names in `nucseg.reporting.formats.FORMATS`.
        channel: As in `open_image`.
        pixel_size: Micrometres, instead of what the files say.
        tile: Pixels a side of a tile; None takes the default.
        score_threshold: The lowest score to keep; None takes the model's own.
        resume: Whether finished images and tiles of an earlier run are skipped.
        overwrite: Whether results that are there are replaced.
        images_at_once: Images that are read, predicted and written at a time, where they are no larger than a tile.
    """

    formats: tuple[str, ...] = ("labels",)
    channel: Channel = None
    pixel_size: float | None = None
    tile: int | None = None
    score_threshold: float | None = None
    resume: bool = False
    overwrite: bool = False
    images_at_once: int = 2


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes:
        image: As it was given.
        nuclei: How many were found; None where it failed.
        files: What was written.
        error: One line that says why it failed, or None.
        skipped: Whether an earlier run had finished it.
        seconds: Spent on it.
        notes: What the user should know of how it was read; see `ImageSource.notes`.
    """

    image: str
    nuclei: int | None
    files: tuple[Path, ...] = ()
    error: str | None = None
    skipped: bool = False
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


def predict_images(
    images: Sequence[str],
    output: Path,
    predictor: Predictor,
    engine: Engine,
    options: BatchOptions,
    *,
    model: Path,
    progress: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Predict images and write `<output>/<format>/<name><suffix>`.

    Args:
        images: Paths and URLs.
        output: The folder to write into.
        predictor: The model.
        engine: Where its tiles are predicted.
        options: How.
        model: The model's folder.
        progress: Called with each image's outcome as soon as it is known.

    Returns:
        The outcomes, in the order of the images.

    Raises:
        InputError: A format is unknown.
    """
    format_paths(output, "name", list(options.formats))
    fingerprint = _fingerprint(model)
    names: dict[str, str] = {}
    one_large_image = Lock()
    with Progress(len(images)) as bar, ThreadPoolExecutor(options.images_at_once) as pool:

        def run(image: str) -> Outcome:
            started = time.perf_counter()
            try:
                first = names.setdefault(image_stem(image), image)
                if first != image:
                    raise InputError(
                        f"{image}: its results would replace those of {first}; write it to another folder."
                    )
                outcome = _predict_image(image, output, predictor, engine, options, fingerprint, one_large_image, bar)
            except NucsegError as error:
                outcome = Outcome(image, None, error=" ".join(str(error).split()))
            except Exception as error:  # a defect met in one image must not cost the results of the others
                logger.debug("Traceback of %s", image, exc_info=True)
                outcome = Outcome(image, None, error=f"{image}: {type(error).__name__}: {error}")
            outcome = replace(outcome, seconds=time.perf_counter() - started)
            bar.image()
            if progress:
                with bar.quiet():
                    progress(outcome)
            return outcome

        return list(pool.map(run, images))


def _predict_image(
    image: str,
    output: Path,
    predictor: Predictor,
    engine: Engine,
    options: BatchOptions,
    fingerprint: str,
    one_large_image: Lock,
    bar: Progress,
) -> Outcome:
    name = image_stem(image)
    files = format_paths(output, name, list(options.formats))
    settings: dict[str, Any] = {
        "image": image,
        "content": _version(image),
        "model": fingerprint,
        "precision": predictor.precision,
        "channel": options.channel,
        "scale": predictor.scale,
        "tile": options.tile,
        "score_threshold": options.score_threshold,
        "pixel_size": options.pixel_size,
    }
    record = ImageRecord(output, name, settings)
    if options.resume:
        known = record.finished(files)
        if known is not None:
            return Outcome(image, known, tuple(files), skipped=True)
    elif not options.overwrite and (there := next((file for file in files if file.exists()), None)):
        raise InputError(f"{image}: {there} exists; give another folder, --resume or --overwrite.")
    else:
        record.forget_tiles()
    source = open_image(image, options.channel)
    if options.pixel_size:
        source = replace(source, pixel_size=(options.pixel_size, options.pixel_size))
    job = tile_job(
        predictor,
        source,
        channel=options.channel,
        tile=options.tile,
        score_threshold=options.score_threshold,
    )
    is_large = len(job.grid) > 1
    with one_large_image if is_large else nullcontext():
        bar.open(len(job.grid))
        parts = record.saved_tiles(job.grid) if options.resume and is_large else {}
        for part in parts.values():
            bar.tile(int(np.count_nonzero(~part.spare)))
        for tile, part in engine.parts(job, parts.keys()):
            if is_large:
                record.save_tile(tile, part)
            parts[tile] = part
            bar.tile(int(np.count_nonzero(~part.spare)))
        nuclei = Mosaic(job.view.image_shape, [parts[tile] for tile in job.grid], job.grid.neighbours)
        return _written(nuclei, job.source, files, options, record)


def _written(
    nuclei: Mosaic, source: ImageSource, files: list[Path], options: BatchOptions, record: ImageRecord
) -> Outcome:
    for given in options.formats:
        write_format(given, nuclei, source, record.output, record.name)
    record.finish(len(nuclei))
    return Outcome(source.name, len(nuclei), tuple(files), notes=source.notes)


def _fingerprint(model: Path) -> str:
    """Tell one model from another by what decides about its predictions."""
    digest = hashlib.sha256()
    for file in sorted(model.iterdir()):
        if file.is_file() and file.name != "run.json":
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _version(image: str) -> str:
    """Tell one content of a file from another, by its size and time of change or by what its server says."""
    try:
        files, path = url_to_fs(image)
        return str(files.ukey(path))
    except Exception:  # whatever a file system raises: reading the image will say what is wrong
        return ""
