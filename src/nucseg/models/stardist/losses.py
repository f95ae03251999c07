"""The losses of the network's outputs; those of the `stardist` package, for every backend of Keras."""

from collections.abc import Callable
from typing import Any, Literal

from keras import ops

from nucseg.models.stardist.config import StarDistConfig

_EPSILON = 1e-7

Errors = Callable[[Any, Any], Any]


def output_losses(config: StarDistConfig) -> dict[str, list[Any]]:
    """Create what `keras.Model.compile` needs: the loss and its weight for each output of a network.

    Cross-entropy for the object probability and, if the network has it, for the foreground.
    """
    distances = distance_loss(config.train_dist_loss, config.train_background_reg)
    outputs = 2 + (config.refine_radius > 0)
    return {
        "loss": ["binary_crossentropy", distances, "binary_crossentropy"][:outputs],
        "loss_weights": list(config.train_loss_weights[:outputs]),
    }


def distance_loss(kind: Literal["mae", "mse", "iou"], background: float) -> Callable[[Any, Any], Any]:
    """Create the loss of the distances, weighted by the object probability (Schmidt et al. 2018, equation 1).

    Args:
        kind: Absolute error, squared error, or 1 - IoU of the polygons.
        background: Weight of the penalty that pulls distances to 0 in the background.

    Returns:
        A function of the true distances with the object probability as their last channel `(N, h, w, n_rays + 1)`, and
        of the predicted ones `(N, h, w, n_rays)`; it returns `(N, h, w)`.
    """
    errors = _ERRORS[kind]

    def loss(distances_and_weight: Any, predicted: Any) -> Any:
        distances = ops.cast(distances_and_weight[..., :-1], predicted.dtype)
        weight = ops.cast(distances_and_weight[..., -1:], predicted.dtype)
        inside = ops.mean(weight * errors(distances, predicted), axis=-1) / (ops.mean(weight) + _EPSILON)
        return inside + background * ops.mean((1 - weight) * ops.abs(predicted), axis=-1)

    return loss


def _absolute(distances: Any, predicted: Any) -> Any:
    return ops.abs(distances - predicted)


def _squared(distances: Any, predicted: Any) -> Any:
    return ops.square(distances - predicted)


def _outside_iou(distances: Any, predicted: Any) -> Any:
    """Compute 1 - IoU of two polygons with the same rays (Schmidt et al. 2018; Walter et al. 2020)."""
    # The sign keeps a gradient for negative distances, whose square would otherwise count as overlap.
    common = ops.mean(ops.sign(predicted) * ops.square(ops.minimum(distances, predicted)), axis=-1, keepdims=True)
    either = ops.mean(ops.square(ops.maximum(distances, predicted)), axis=-1, keepdims=True)
    return 1 - common / (either + _EPSILON)


_ERRORS: dict[str, Errors] = {"mae": _absolute, "mse": _squared, "iou": _outside_iou}
