"""The settings of the service, by option, by environment variable or in `.env`, in this order of precedence."""

import logging
import os
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from nucseg.core.errors import ConfigError, ModelError
from nucseg.core.types import Precision
from nucseg.core.validation import plain_words
from nucseg.models.registry import folder_kind, resolve_model

PREFIX = "NUCSEG_"
DEEPLABS = ("deeplab", "deeplab_graph")
"""The kinds of models that speak the contract of MAX-Image-Segmenter."""

_log = logging.getLogger(__name__)


class Settings(BaseSettings):
    """The settings of server and workers; the variable of each is `NUCSEG_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 listens on all addresses.")
    port: int = Field(5000, ge=0, le=65535, description="Port to listen on; 0 chooses a free one.")
    model: str = Field("stardist", min_length=1, description="Name of the default model, or its folder.")
    segmenter: str = Field(
        "stardist",
        min_length=1,
        description="Name or folder of the model that finds nuclei on slides, if the default model classifies them.",
    )
    image_size: int = Field(
        513,
        ge=16,
        le=1024,
        description="Pixels of the longer side to which a DeepLab's pictures are resized, if it is the default model.",
    )
    models: Path | None = Field(None, description="Folder with additional models, one folder per model.")
    precision: Precision = Field("auto", description="Compute precision of the networks.")
    loaded_models: int = Field(2, ge=1, description="Maximum number of models kept in memory.")
    threads: int = Field(2, ge=1, description="Number of predictions that run at the same time.")
    workers: int = Field(1, ge=0, description="Number of worker processes that the server starts itself; 0 for none.")

    database: str = Field(
        "sqlite:///data/serving/tasks.sqlite", description="SQLAlchemy URL of the task table (SQLite or PostgreSQL)."
    )
    storage: str = Field("data/serving/files", description="fsspec URL for uploads and results: a folder or s3://….")

    api_key: SecretStr | None = Field(
        None,
        min_length=1,
        description="API key that every request except the health checks must send; none by default.",
    )
    cors_origins: str = Field("", description="Comma-separated origins whose pages may call the service; * allows any.")
    max_upload_mb: int = Field(64, ge=1, description="Maximum megabytes of an upload that is predicted at once.")
    max_pixels: int = Field(2**24, ge=1, description="Maximum pixels of an image that is predicted at once.")
    max_task_upload_mb: int = Field(1024, ge=1, description="Maximum megabytes of an upload for a task.")
    max_task_pixels: int = Field(400_000_000, ge=1, description="Maximum pixels of an image for a task.")
    max_decode_mb: int = Field(1024, ge=64, description="Maximum megabytes of memory to decode an image.")
    max_requests: int = Field(
        64, ge=1, description="Maximum number of uploads handled at the same time, waiting ones included."
    )
    max_queue: int = Field(1000, ge=1, description="Maximum number of waiting tasks.")
    request_timeout: float = Field(120, gt=0, description="Maximum seconds for a request with an upload.")
    backend_timeout: float = Field(
        2, gt=0, description="Seconds to wait for the task table or the storage before answering 503."
    )
    shutdown_timeout: int = Field(60, ge=1, description="Seconds to finish pending work on shutdown.")

    lease: float = Field(60, gt=0, description="Seconds after which the task of an unresponsive worker is taken over.")
    poll: float = Field(1, gt=0, description="Seconds between two queries of the task table by an idle worker.")
    max_attempts: int = Field(3, ge=1, description="Number of attempts per task.")
    retry_delay: float = Field(
        5, ge=0, description="Seconds before the second attempt; doubled before each further one."
    )
    keep_hours: float = Field(24, gt=0, description="Hours for which results are kept.")

    debug: bool = Field(False, description="Write more to the log; responses stay the same.")

    def environment(self) -> dict[str, str]:
        """Return the environment variables that reproduce these settings in another process."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        if self.api_key is not None:
            values["api_key"] = self.api_key.get_secret_value()
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in values.items() if value is not None}


def load_settings(**given: Any) -> Settings:
    """Read the settings; given values take precedence over environment and `.env`.

    `models` is also written into the environment, where the registry of models looks for it.

    Raises:
        ConfigError: A value is wrong; the message names the variable, not a secret value.
        ModelError: `MODEL_TYPE` is `full`, and there is neither the default model nor a full one.
    """
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(f"{PREFIX}{str(problem['loc'][0]).upper()}: {plain_words(problem)}" for problem in error.errors())
        ) from None
    if settings.models is not None:
        os.environ[f"{PREFIX}MODELS"] = str(settings.models)
    return settings.model_copy(update=_of_max(settings))


def _of_max(settings: Settings) -> dict[str, Any]:
    """Return what the environment variables of IBM's MAX services set; our own settings take precedence.

    A value that MAX-Image-Segmenter does not allow is its default, with a warning, as there.
    """
    update: dict[str, Any] = {}
    if os.environ.get("CORS_ENABLE") == "true" and not settings.cors_origins:
        update["cors_origins"] = "*"
    size = os.environ.get("IMAGE_SIZE")
    if size is not None and "image_size" not in settings.model_fields_set:
        if size.isdecimal() and 16 <= int(size) <= 1024:
            update["image_size"] = int(size)
        else:
            _log.warning("IMAGE_SIZE is %r; it must be from 16 to 1024. %d is used.", size, settings.image_size)
    kind = os.environ.get("MODEL_TYPE", "mobile")
    if kind not in ("mobile", "full"):
        _log.warning("MODEL_TYPE is %r; it must be mobile or full. mobile is used.", kind)
    if kind == "full":
        full = f"{settings.model}-full"
        try:
            served = folder_kind(resolve_model(full))
        except ModelError:  # of a DeepLab, it will be missed when it is loaded
            served = folder_kind(resolve_model(settings.model))
        if served in DEEPLABS:
            update["model"] = full
    return update
