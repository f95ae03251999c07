"""Nodes of inference."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from nucseg.core.errors import InputError
from nucseg.params import InferenceConfig


def predict(folder: Path, output: Path, config: InferenceConfig) -> pd.DataFrame:
    """Predict every image of a folder, as `nucseg predict` does.

    Args:
        folder: With the images.
        output: Gets a folder for each format.
        config: Which model, scale and formats.

    Returns:
        One row an image: `image`, `nuclei`, `error`, `skipped`, `seconds`, `notes`.

    Raises:
        InputError: The folder holds no image, or all of its images failed.
        ModelError: There is no such model.
    """
    from nucseg.batch.predict import BatchOptions, predict_images
    from nucseg.images.open import find_images
    from nucseg.inference.engine import LocalEngine
    from nucseg.inference.predictor import Predictor
    from nucseg.models.registry import resolve_model

    model = resolve_model(config.model)
    predictor = Predictor.load(model, scale=config.scale, precision=config.precision)
    options = BatchOptions(
        **config.model_dump(include={"formats", "channel", "pixel_size", "tile", "score_threshold", "resume"}),
        overwrite=True,
    )
    engine = LocalEngine(predictor.bundle.segmenter)
    outcomes = predict_images(find_images([str(folder)]), output, predictor, engine, options, model=model)
    if all(outcome.error for outcome in outcomes):
        raise InputError(f"{folder}: no image could be predicted: {outcomes[0].error}")
    rows = [asdict(outcome) | {"notes": " ".join(outcome.notes)} for outcome in outcomes]
    return pd.DataFrame(rows).drop(columns="files")
