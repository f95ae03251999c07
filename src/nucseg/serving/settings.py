"""Everything that can be set of the service: by option, by environment variable or in `.env`, in this order."""

import os
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from nucseg.core.errors import ConfigError
from nucseg.core.types import Precision
from nucseg.core.validation import plain_words

PREFIX = "NUCSEG_"


class Settings(BaseSettings):
    """The settings of server and workers. The variable of each is its name in capitals after `NUCSEG_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 is all of them.")
    port: int = Field(5000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    model: str = Field("stardist", min_length=1, description="Name of the default model, or its folder.")
    models: Path | None = Field(None, description="Folder with more models, one folder each.")
    precision: Precision = Field("auto", description="Number format of the networks.")
    loaded_models: int = Field(2, ge=1, description="Models kept in memory at most.")
    threads: int = Field(2, ge=1, description="Predictions that run at the same time.")
    workers: int = Field(1, ge=0, description="Worker processes that the server starts itself; 0 for none.")

    database: str = Field(
        "sqlite:///data/serving/tasks.sqlite", description="SQLAlchemy URL of the task table (SQLite or PostgreSQL)."
    )
    storage: str = Field("data/serving/files", description="fsspec URL of uploads and results: a folder or s3://….")

    api_key: SecretStr | None = Field(
        None, min_length=1, description="Asked of every request but the health checks, where set."
    )
    cors_origins: str = Field("", description="Comma-separated origins whose pages may call the service; * is any.")
    max_upload_mb: int = Field(64, ge=1, description="Megabytes of an upload to predict at once.")
    max_pixels: int = Field(2**24, ge=1, description="Pixels of an image to predict at once.")
    max_task_upload_mb: int = Field(1024, ge=1, description="Megabytes of an upload for a task.")
    max_task_pixels: int = Field(400_000_000, ge=1, description="Pixels of an image for a task.")
    max_decode_mb: int = Field(1024, ge=64, description="Megabytes of memory to decode an image.")
    max_requests: int = Field(64, ge=1, description="Uploads that are read, wait or are predicted at the same time.")
    max_queue: int = Field(1000, ge=1, description="Tasks that wait at most.")
    request_timeout: float = Field(120, gt=0, description="Seconds that a request with an upload may take.")
    backend_timeout: float = Field(
        2, gt=0, description="Seconds after which a request that waits for task table or storage is answered 503."
    )
    shutdown_timeout: int = Field(60, ge=1, description="Seconds to finish what runs at the end.")

    lease: float = Field(60, gt=0, description="Seconds after which a task of a silent worker is taken over.")
    poll: float = Field(1, gt=0, description="Seconds between two looks of an idle worker at the task table.")
    max_attempts: int = Field(3, ge=1, description="Times that a task is tried.")
    retry_delay: float = Field(5, ge=0, description="Seconds before the second try; twice as many before each further.")
    keep_hours: float = Field(24, gt=0, description="Hours that results are kept.")

    debug: bool = Field(False, description="Write more into the log; answers stay the same.")

    def environment(self) -> dict[str, str]:
        """Return the environment variables that make these settings in another process."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        if self.api_key is not None:
            values["api_key"] = self.api_key.get_secret_value()
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in values.items() if value is not None}


def load_settings(**given: Any) -> Settings:
    """Read the settings; what is given goes before environment and `.env`.

    `models` is also written into the environment, where the registry of models looks for it.

    Raises:
        ConfigError: A value is wrong; the message names the variable, not a secret value.
    """
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(f"{PREFIX}{str(problem['loc'][0]).upper()}: {plain_words(problem)}" for problem in error.errors())
        ) from None
    if settings.models is not None:
        os.environ[f"{PREFIX}MODELS"] = str(settings.models)
    return settings
