"""The validation split as an instance segmenter sees it, and its scores there, by which choices are made."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from nucseg.core.types import Precision, Sample
from nucseg.images.geometry import resize_image, scaled_shape
from nucseg.images.io import read_image, read_labels
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.inference.tiles import make_grid
from nucseg.masks.labels import diameters
from nucseg.metrics.instances.config import METRIC_NAMES, MetricsConfig
from nucseg.metrics.instances.evaluator import Evaluator
from nucseg.models.bundle import ModelBundle
from nucseg.models.sizes import mean_diameter

# `map` also ranks candidates below the threshold: it would take most of the time, and no choice depends on it.
_METRICS = MetricsConfig(metrics=tuple(name for name in METRIC_NAMES if name != "map"))


def seen_images(bundle: ModelBundle, samples: Sequence[Sample]) -> tuple[list[NDArray], list[NDArray]]:
    """Read samples as a model sees them.

    Images of small nuclei are enlarged as in prediction. An image that is larger than the model takes at once is cut
    into windows that it takes; each counts as an image.

    Args:
        bundle: The model.
        samples: Where the images lie.

    Returns:
        Images `(H, W, in_channels)` float32, preprocessed, and their label images, not enlarged.
    """
    model, preprocessor, sizes = bundle.model, bundle.preprocessor(), bundle.run.sizes()
    images, labels = [], []
    for sample in samples:
        image = read_image(sample.image_path)
        fitted = preprocessor.fit(image, magnification=sample.magnification)
        seen, truth = fitted.image(image), fitted.labels(read_labels(sample.label_file()))
        zoom = sizes.enlargement(mean_diameter(diameters(truth)))
        grid = make_grid(truth.shape, None, stride=model.stride, halo=0, max_side=int(model.max_side / zoom))
        for window in map(grid.core, grid):
            images.append(resize_image(seen[window.slices], scaled_shape(window.shape, zoom)))
            labels.append(truth[window.slices])
    return images, labels


def validation_scores(bundle: ModelBundle, samples: Sequence[Sample], precision: Precision) -> dict[str, Any]:
    """Evaluate a model on samples, as the evaluation does on the test split.

    Args:
        bundle: The model with its thresholds.
        samples: Samples of the val split.
        precision: Precision of the network.

    Returns:
        `overall` and, by name of the modality, `by_modality`: the metrics of `metrics.json` except `map`.

    Raises:
        InputError: A file is missing or unreadable.
    """
    options = PredictOptions(precision=precision)
    predictor = Predictor(bundle, options)
    evaluator = Evaluator(bundle.name, _METRICS)
    for sample in samples:
        own = options.changed(magnification=sample.magnification)
        found = predictor.predict(read_image(sample.image_path), own, name=sample.key)
        evaluator.update(sample, read_labels(sample.label_file()), found, predictor.score_threshold)
    result = evaluator.result()
    return {"overall": result["overall"], "by_modality": result["by"]["modality"]}
