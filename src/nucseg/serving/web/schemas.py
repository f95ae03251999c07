"""The bodies of requests and responses, as the OpenAPI schema describes them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field


class ErrorAnswer(BaseModel):
    """The body of every error response."""

    status: Literal["error"] = "error"
    message: str = Field(description="What was wrong and what to do.")
    title: str | None = Field(None, description="The status in words, where clients of the service know it.")
    description: str | None = Field(None, description="The message again, with a title.")
    errors: dict[str, str] | None = Field(None, description="By name of a form field: what is wrong with it.")
    request_id: str = Field(description="Names the request in the server's log; also the header X-Request-ID.")


class DatasetFacts(BaseModel):
    """A dataset that a model was trained on."""

    name: str
    title: str
    license: str | None
    source: str | None


class TrainingData(BaseModel):
    """What a model was trained on."""

    datasets: list[DatasetFacts]
    images: dict[str, int] = Field(description="Number of images in each split.")
    sha256: str | None = Field(description="SHA-256 over all images and label images.")


class MetadataAnswer(BaseModel):
    """A model and its origin."""

    id: str
    name: str
    description: str
    type: str
    license: str
    source: str
    model: str = Field(description="Name by which it is requested.")
    kind: str | None = Field(description="Kind of network.")
    version: str = Field(description="Hash of the model's files.")
    created: str | None
    training_data: TrainingData
    scores: dict[str, Any] = Field(description="Scores on the validation split.")


class ModelSummary(BaseModel):
    """An available model."""

    name: str
    version: str
    default: bool
    classes: list[str] = Field(description="Names of the classes that it finds.")


class ModelsAnswer(BaseModel):
    """The available models."""

    models: list[ModelSummary]


class TaskState(BaseModel):
    """The state of a task. Times are in UTC, by the database's clock."""

    id: str
    status: Literal["QUEUED", "PROCESSING", "FINISHED", "FAILED"]
    progress: float = Field(ge=0, le=1, description="Approximate fraction that is done.")
    attempts: int = Field(description="Number of attempts.")
    created: datetime
    started: datetime | None
    finished: datetime | None
    expires: datetime | None = Field(description="When the result is removed.")
    error: str | None = Field(description="Error of the last failed attempt.")


class TaskAnswer(TaskState):
    """The state of a task that finds nuclei. Times are in UTC, by the database's clock."""

    nuclei: int | None = Field(description="Number of nuclei, once finished.")


class TrainingSetAnswer(BaseModel):
    """The images that a model is trained on."""

    images: int
    needed: int = Field(description="The fewest that a training needs.")


class ModelScores(BaseModel):
    """The scores of a model on images that were held out."""

    model: str
    n_images: int
    f1_50: float | None
    ap_50: float | None
    ap_mean_50_90: float | None


class TrainingScores(BaseModel):
    """What came of a training."""

    before: ModelScores
    after: ModelScores
    better: bool | None = Field(
        description="Whether the new model is at least as good on these images; null if these have no nuclei."
    )


class HealthAnswer(BaseModel):
    """Health or readiness of the service."""

    status: Literal["ok"] = "ok"
    live: bool = True
    ready: bool | None = None
