"""Predicting an upload while the client waits, for each route that does so."""

from typing import IO

from nucseg.serving.plane import answer
from nucseg.serving.service import Service
from nucseg.serving.web.metrics import Metrics


def predict_upload(
    service: Service, metrics: Metrics, upload: IO[bytes], model: str | None = None, threshold: float | None = None
) -> bytes:
    """Find the nuclei of an upload and count them.

    Args:
        service: Predicts.
        metrics: Counts.
        upload: The image file.
        model: Name of the model; None takes the default.
        threshold: The lowest score of a nucleus; None takes the model's own.

    Returns:
        The answer of `/model/predict` as JSON text.

    Raises:
        NucsegError: As `DataPlane.predict`.
    """
    found = service.plane.predict(upload, model=model, threshold=threshold)
    metrics.nuclei.inc(len(found))
    return answer(found)
