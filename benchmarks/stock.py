"""The `stardist` package's own model with the weights of a nucseg model, as the reference of the benchmarks."""

from typing import Any

from stardist.models import StarDist2D

from nucseg.models.stardist.model import StarDist
from nucseg.models.stardist.network import stardist_config


def stock_stardist(segmenter: StarDist) -> tuple[StarDist2D, dict[str, Any]]:
    """Build the package's model, which has no refinement head, and the options for nucseg's thresholds."""
    package = StarDist2D(stardist_config(segmenter.config), basedir=None)
    package.keras_model.set_weights(segmenter.polygon_model.get_weights())
    return package, {"prob_thresh": segmenter.thresholds["score"], "nms_thresh": segmenter.thresholds["nms"]}
