"""Nodes of inference."""

import logging
from pathlib import Path

import pandas as pd

from nucseg.core.errors import InputError
from nucseg.params import InferenceConfig

logger = logging.getLogger(__name__)


def predict(folder: Path, output: Path, config: InferenceConfig) -> pd.DataFrame:
    """Predict every image of a folder, as `nucseg predict` does.

    Args:
        folder: The folder with the images.
        output: The folder for the results, with one subfolder per format.
        config: The model and the options of the prediction.

    Returns:
        The summary, one row per image; see `nucseg.batch.summary`.

    Raises:
        InputError: The folder holds no image, or all of its images failed.
        ModelError: There is no such model.
    """
    from nucseg.batch.predict import predict_images
    from nucseg.batch.summary import SUMMARY
    from nucseg.images.find import find_images
    from nucseg.inference.engine import LocalEngine
    from nucseg.inference.predictor import Predictor
    from nucseg.models.registry import resolve_model

    model = resolve_model(config.model)
    found = find_images([str(folder)])
    for note in found.notes:
        logger.info("%s", note)
    if all(image.error for image in found.images):
        raise InputError(str(found.images[0].error))
    predictor = Predictor.load(model, config)
    engine = LocalEngine()
    outcomes = predict_images(found.images, output, predictor, engine, config, model=model)
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if len(failed) == len(outcomes):
        raise InputError(f"{folder}: no image could be predicted: {failed[0]}")
    for error in failed:
        logger.warning("Failed: %s", error)
    for outcome in outcomes:
        if outcome.incomplete:
            logger.warning("Incomplete: %s", outcome.incomplete)
    return pd.read_csv(output / SUMMARY, keep_default_na=False, encoding_errors="replace")
