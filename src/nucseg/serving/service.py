"""What the routes and workers are given: models, data plane and queue, made from the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from nucseg.core.errors import ConfigError
from nucseg.core.types import Precision
from nucseg.serving.models import ModelStore, Predicts
from nucseg.serving.plane import DataPlane
from nucseg.serving.settings import Settings
from nucseg.serving.tasks.database import connect
from nucseg.serving.tasks.queue import TaskQueue
from nucseg.serving.tasks.storage import Storage
from nucseg.serving.tasks.table import TaskTable
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
    queue: TaskQueue


def load_predictor(folder: Path, precision: Precision) -> Predicts:
    """Load the model of a folder with the project's one predictor; imports TensorFlow."""
    from nucseg.serving.prediction import ModelPredictor

    return ModelPredictor.load(folder, precision=precision)


def build_models(settings: Settings, load: Callable[[Path, Precision], Predicts] = load_predictor) -> ModelStore:
    """Make the store of models.

    Raises:
        ModelError: The default model does not exist.
    """
    return ModelStore(settings.model, lambda folder: load(folder, settings.precision), settings.loaded_models)


def build_queue(settings: Settings) -> TaskQueue:
    """Make the queue.

    Raises:
        ConfigError: Its database or storage cannot be used.
    """
    try:
        engine = connect(settings.database)
        table = TaskTable(engine, max_attempts=settings.max_attempts, keep_hours=settings.keep_hours)
    except (OSError, OperationalError) as error:
        url = make_url(settings.database).render_as_string(hide_password=True)
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise ConfigError(
            f"database: {url} cannot be used ({reason}). Is it running, and may it be written?"
        ) from error
    storage = Storage(settings.storage)
    return TaskQueue(table, storage, max_queue=settings.max_queue, max_pixels=settings.max_task_pixels)


def build_service(settings: Settings, load: Callable[[Path, Precision], Predicts] = load_predictor) -> Service:
    """Make what the server needs; nothing is loaded yet.

    Raises:
        ModelError: The default model does not exist.
        ConfigError: Database or storage cannot be used.
    """
    return Service(settings, DataPlane(build_models(settings, load), settings.max_pixels), build_queue(settings))


def build_worker(settings: Settings, load: Callable[[Path, Precision], Predicts] = load_predictor) -> Worker:
    """Make a worker of the task table; its model is loaded with its first task.

    Raises:
        ModelError: The default model does not exist.
        ConfigError: Database or storage cannot be used.
    """
    return Worker(
        build_queue(settings),
        DataPlane(build_models(settings, load), settings.max_task_pixels),
        lease=settings.lease,
        poll=settings.poll,
        retry_delay=settings.retry_delay,
    )
