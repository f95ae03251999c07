"""Models, data plane and queue for routes and workers, created from the settings."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nucseg.core.errors import ConfigError
from nucseg.inference.options import PredictOptions
from nucseg.serving.answers.served import ServedModel
from nucseg.serving.jobs.database import connect
from nucseg.serving.jobs.queue import JobQueue
from nucseg.serving.jobs.storage import Storage
from nucseg.serving.jobs.table import JobTable
from nucseg.serving.models import ModelStore, answers_of
from nucseg.serving.plane import DataPlane
from nucseg.serving.settings import Settings
from nucseg.serving.worker.sqs import SqsWorker, sqs_client
from nucseg.serving.worker.worker import Worker


@dataclass(frozen=True)
class Service:
    """Everything behind the routes.

    Attributes:
        settings: As given.
        plane: What predicts uploads at once.
        queue: What keeps them for later.
    """

    settings: Settings
    plane: DataPlane
    queue: JobQueue


def load_predictor(folder: Path, settings: Settings) -> ServedModel:
    """Load the model of a folder; imports TensorFlow."""
    return answers_of(folder).load(folder, settings)


def build_models(settings: Settings, load: Callable[[Path, Settings], ServedModel] = load_predictor) -> ModelStore:
    """Create the store of models.

    Raises:
        ModelError: The default model does not exist.
    """
    return ModelStore(settings.model, lambda folder: load(folder, settings), settings.loaded_models)


def build_queue(settings: Settings, *, wait: float = 30, connections: int = 5) -> JobQueue:
    """Create the queue; its database and storage are first reached when they are used.

    The formats of results are those of the default model's contract.

    Args:
        settings: Where they are.
        wait: Seconds that a call may wait for the database's locks.
        connections: Connections to the database that are kept.

    Raises:
        ConfigError: The URL of one of them is wrong, or what it needs is not installed.
        ModelError: The default model does not exist.
    """
    table = JobTable(
        connect(settings.database, wait=wait, connections=connections),
        max_attempts=settings.max_attempts,
        keep_hours=settings.keep_hours,
        # Nothing is left of a request that took longer.
        upload_seconds=2 * settings.request_timeout,
    )
    storage = Storage(settings.storage)
    return JobQueue(
        table,
        storage,
        answers_of(settings.model).CONTRACT.files,
        max_queue=settings.max_queue,
        max_pixels=settings.max_task_pixels,
        max_memory=settings.max_decode_mb << 20,
    )


def build_plane(
    settings: Settings, max_pixels: int, load: Callable[[Path, Settings], ServedModel] = load_predictor
) -> DataPlane:
    """Create what predicts images of up to this number of pixels.

    Raises:
        ModelError: The default model does not exist.
    """
    options = PredictOptions(precision=settings.precision)
    return DataPlane(build_models(settings, load), max_pixels, settings.max_decode_mb << 20, options)


def build_service(settings: Settings, load: Callable[[Path, Settings], ServedModel] = load_predictor) -> Service:
    """Create what the server needs; nothing is loaded yet.

    Raises:
        ModelError: The default model does not exist.
        ConfigError: The URL of database or storage cannot be used.
    """
    # A little less than a request has, so that the database reports the reason itself.
    queue = build_queue(settings, wait=0.75 * settings.backend_timeout, connections=16)
    return Service(settings, build_plane(settings, settings.max_pixels, load), queue)


def build_worker(settings: Settings, load: Callable[[Path, Settings], ServedModel] = load_predictor) -> Worker:
    """Create a worker of the task table; its model is loaded with its first task.

    Raises:
        ModelError: The default model does not exist.
        ConfigError: The URL of database or storage cannot be used, or the service of such a model has no tasks.
    """
    plane = build_plane(settings, settings.max_task_pixels, load)
    if not plane.models.answers.CONTRACT.files:
        raise ConfigError(
            f"model {plane.models.default}: its service has no tasks, which is what workers process; `nucseg serve` "
            "predicts images of such a model at once, `nucseg segment` those of any size."
        )
    return Worker(
        build_queue(settings),
        plane,
        lease=settings.lease,
        poll=settings.poll,
        retry_delay=settings.retry_delay,
    )


def build_sqs_worker(
    settings: Settings, *, queue_url: str, source: str, target: str, own_key: bool = False
) -> SqsWorker:
    """Create a worker from the settings.

    Raises:
        ConfigError: A part of it cannot be used.
        ModelError: The default model does not exist.
    """
    plane = build_plane(settings, settings.max_task_pixels)
    if not plane.models.answers.CONTRACT.batch:
        raise ConfigError(f"model {plane.models.default}: finds no masks, which is what SQS workers write.")
    return SqsWorker(
        sqs_client(),
        queue_url,
        Storage(source),
        Storage(target),
        plane,
        visibility=max(1, round(settings.lease)),
        own_key=own_key,
    )


def set_up_logging(settings: Settings) -> None:
    """Log to standard error, at the level of the settings."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger().setLevel(logging.DEBUG if settings.debug else logging.INFO)
    for noisy in ("botocore", "aiobotocore", "s3fs", "fsspec", "urllib3", "asyncio", "numba", "h5py", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
