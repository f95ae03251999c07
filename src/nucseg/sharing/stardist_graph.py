"""The graph of a StarDist model: object probability, distances along the rays, foreground."""

from collections.abc import Mapping

import tensorflow as tf

from nucseg.models.stardist.foreground import FOREGROUND
from nucseg.models.stardist.model import StarDist
from nucseg.sharing.graph import Citation, Graph, Output

SHORTEST = 1e-3
"""Pixels: least length of a ray, as in the `stardist` package."""

_CITATIONS = (
    Citation(
        "Schmidt, Weigert, Broaddus, Myers (2018): Cell Detection with Star-convex Polygons. MICCAI.",
        "10.1007/978-3-030-00934-2_30",
    ),
)


def graph(model: StarDist, *, joined: bool = False) -> Graph:
    """Create the graph of a StarDist model.

    Args:
        model: The model.
        joined: Whether object probability and distances are one output, and the foreground is left out.
    """
    config, network = model.config, model.network

    def run(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
        probability, distances, *foreground = network([images], training=False)
        distances = tf.maximum(distances, SHORTEST)
        if joined:
            return {"prob_dist": tf.concat([probability, distances], -1)}
        maps = {"prob": probability, "dist": distances}
        return maps | {"foreground": foreground[0]} if foreground else maps

    cells = f"N, H / {config.grid}, W / {config.grid}" if config.grid > 1 else "N, H, W"
    each = f"of each cell of {config.grid} x {config.grid} pixels" if config.grid > 1 else "of each pixel"
    prob = Output("prob", f"({cells}, 1)", f"object probability {each}")
    dist = Output(
        "dist", f"({cells}, {config.n_rays})", f"{each}, pixels to the border of the nucleus along {config.n_rays} rays"
    )
    both = Output("prob_dist", f"({cells}, {1 + config.n_rays})", "object probability, then the distances")
    foreground = Output("foreground", "(N, H, W, 1)", "probability of each pixel to belong to any nucleus")
    separate = (prob, dist, foreground) if config.refine_radius else (prob, dist)
    return Graph(
        network=network,
        run=run,
        dtype="float32",
        channels=config.in_channels,
        multiple=model.stride,
        side=None,
        outputs=(both,) if joined else separate,
        decoding=_decoding(model),
        citations=_CITATIONS,
    )


def _decoding(model: StarDist) -> tuple[str, ...]:
    config, thresholds = model.config, model.thresholds
    steps = (
        f"Candidates are the cells with a probability of at least {thresholds['score']:g}. The origin of the cell in "
        f"row r and column c is the pixel ({config.grid} r, {config.grid} c).",
        f"Ray k of a candidate points in the direction (row, column) = (sin a, cos a) with a = 2 pi k / "
        f"{config.n_rays}; its end is a corner of the candidate's polygon.",
        "Non-maximum suppression: by decreasing probability, a polygon is dropped if its overlap with a better one, "
        f"divided by the smaller of their areas, is above {thresholds['nms']:g} "
        "(`stardist.nms.non_maximum_suppression` with `grid`, and `b=0`).",
        "Polygons are filled; a pixel of several belongs to the one of the highest probability.",
        f"Nuclei of fewer than {thresholds['area']:g} pixels are dropped.",
    )
    if not config.refine_radius:
        return steps
    return (
        *steps,
        f"Only nucseg goes on: within {config.refine_radius} pixels of a polygon's border, a pixel belongs to the "
        f"nucleus if `foreground` is at least {FOREGROUND:g}. Programs without this step find the same nuclei with "
        "coarser borders.",
    )
