"""Instance segmentation on the wire: its schema, its encoders, and what clients of MAX-Nucleus-Segmenter are told."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from nucseg.core.types import Instances
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.inference.options import PredictOptions
from nucseg.masks.rle import kaggle_runs
from nucseg.serving.answers.contract import Contract
from nucseg.serving.answers.labels import COUNTED
from nucseg.serving.answers.served import ServedModel
from nucseg.serving.results import NUCLEI
from nucseg.serving.settings import Settings

_DATASETS = {"bbbc038": "2018 Data Science Bowl dataset"}  # its name for clients of MAX


class Prediction(BaseModel):
    """One nucleus."""

    mask: list[int] = Field(
        description="Runs of the mask: start, length, start, length, … Pixels are numbered from 1, column by column; "
        "masks do not overlap."
    )
    probability: float = Field(ge=0, le=1, description="The model's score of this nucleus.")


class PredictAnswer(BaseModel):
    """The nuclei of an image, the most probable ones first."""

    status: Literal["ok"] = "ok"
    predictions: list[Prediction]


def _disks() -> NDArray[np.uint8]:
    rows, columns = np.ogrid[:256, :256]
    return ((rows % 64 - 32) ** 2 + (columns % 64 - 32) ** 2 < 12**2) * np.uint8(200)


def load(folder: Path, settings: Settings) -> ServedModel:
    """Load a model that finds nuclei; imports TensorFlow."""
    from nucseg.inference.predictor import Predictor

    return Predictor.load(folder, PredictOptions(precision=settings.precision))


def check(image: NDArray, kind: str) -> NDArray:
    """Return the image: of any size, and grey or in colours."""
    return image


def classes(config: Mapping[str, Any]) -> Sequence[str]:
    """Return the one class: nuclei."""
    return ("nucleus",)


def max_facts(datasets: dict[str, str], classes: Sequence[str]) -> dict[str, str]:
    """Return the facts that MAX-Nucleus-Segmenter's metadata have; see `Answers`."""
    titles = [_DATASETS.get(name, title) for name, title in datasets.items()]
    used = " and ".join(titles) or "data that its record does not name"
    return {
        "id": "max-nucleus-segmenter",
        "name": "MAX Nucleus Segmenter",
        "description": f"Nucleus image segmentation model trained with Keras on {used}",
        "type": "Object Detection",
        "license": "Apache License 2.0",
        "source": "nucseg",
    }


def predictions(found: Instances) -> list[dict[str, Any]]:
    """Return nuclei as clients of MAX-Nucleus-Segmenter know them, by decreasing probability.

    Returns:
        `mask`, a flat list of 1-based starts and lengths in column-major order, and `probability`. Masks do not
        overlap. JSON types only.
    """
    runs = kaggle_runs(found.labels)
    order = np.argsort(-found.scores, kind="stable")
    return [{"mask": runs[i].ravel().tolist(), "probability": float(found.scores[i])} for i in order]


def count(found: Instances | StitchedLabels) -> int:
    """Return the number of nuclei."""
    return len(found)


def encode(found: Instances) -> bytes:
    """Return the nuclei as the JSON text of `PredictAnswer`."""
    return json.dumps({"status": "ok", "predictions": predictions(found)}, separators=(",", ":")).encode()


def encode_mask(found: Instances) -> bytes:
    """Return the mask as PNG: 255 where any nucleus is."""
    return bytes(imagecodecs.png_encode((found.labels > 0) * np.uint8(255)))


CONTRACT = Contract(
    answer=PredictAnswer,
    files=NUCLEI,
    batch=("labels", "mask"),
    labels=COUNTED,
    has_outlines=True,
    takes_threshold=True,
    finds_nuclei=True,
    encode_mask=encode_mask,
    example=_disks(),  # so that there is something to draw
    title="MAX Nucleus Segmenter",
    description="Find every nucleus in a microscopy image: at once, or queued if the image is large.",
    predict="Find the nuclei of an image at once; large images go to POST /tasks.",
    invocations="Find the nuclei of the image in the request body.\n\n"
    "`Accept: image/png` or `application/x-image` asks for the mask as PNG, 255 where any nucleus is.",
    image="PNG, TIFF or JPEG of any size up to the limit.",
)
