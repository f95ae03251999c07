"""The picture of an image's patches: what they are, and what the classifier says."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from nucseg.core.types import PatchScores
from nucseg.images.channels import to_rgb
from nucseg.images.intensity import to_unit_float

COLOURS = {"missed": "#E69F00", "false": "#D55E00"}
"""Of the two kinds of errors, as in the pictures of nuclei: readable with any colour vision."""

_RIGHT = {1: "#009E73", 0: "#56B4E9"}
_MOST = 6
_ZOOM = 3  # of a patch in the picture


def draw_patches(image: NDArray, scores: PatchScores, size: int = 64) -> Figure:
    """Draw the patches of which the classifier is wrong or least sure, each with its true class and its probability.

    Args:
        image: `(H, W, 3)`, as stored.
        scores: What the classifier says.
        size: Side of a patch in pixels.

    Returns:
        A row of at most six patches, the worst first; their frames tell right from wrong.
    """
    known = np.flatnonzero(scores.classes >= 0)
    of_true = np.where(scores.classes == 1, scores.probabilities, 1 - scores.probabilities)[known]
    worst = known[np.argsort(of_true, kind="stable")][:_MOST]
    side = _ZOOM * size / 100
    figure = Figure(figsize=(max(len(worst), 1) * side, side + 0.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    picture = to_unit_float(to_rgb(image))
    for axes, number in zip(figure.subplots(1, max(len(worst), 1), squeeze=False)[0], worst, strict=False):
        row, column = scores.places[number]
        true, found = scores.classes[number], scores.probabilities[number] >= np.float32(scores.threshold)
        kind = COLOURS["missed" if true else "false"] if found != bool(true) else _RIGHT[int(true)]
        axes.imshow(picture, interpolation="nearest")
        axes.set(xlim=(column - size / 2, column + size / 2), ylim=(row + size / 2, row - size / 2))
        axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, lw=6, ec=kind))
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"class {true}, probability {scores.probabilities[number]:.3f}", fontsize=9)
    return figure
