"""The losses of both stages. Each is a sum over the relevant places, divided by their number."""

from typing import Any

from keras import ops


def binary_cross_entropy(logits: Any, targets: Any) -> Any:
    """Compute the cross-entropy of each logit; targets in [0, 1]; same shapes in and out. Stable for large logits."""
    return ops.maximum(logits, 0.0) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))


def focal_loss(logits: Any, targets: Any, gamma: float = 2.0, alpha: float = 0.25) -> Any:
    """Compute the focal loss of each logit (Lin et al. 2017, focal loss, equation 5): easy examples have little weight.

    It replaces the sampling of 256 anchors in the paper's first stage, which would use only a small part of the
    positives in a field of hundreds of nuclei; and it needs no random draw.

    Args:
        logits: Any shape.
        targets: 0 or 1, of the same shape.
        gamma: How fast easy examples lose weight.
        alpha: Weight of the positives; the negatives have 1 - alpha.
    """
    probability = ops.sigmoid(logits)
    miss = targets * (1 - probability) + (1 - targets) * probability
    weight = targets * alpha + (1 - targets) * (1 - alpha)
    return weight * miss**gamma * binary_cross_entropy(logits, targets)


def smooth_l1(predicted: Any, targets: Any, beta: float) -> Any:
    """Compute the smooth L1 distance, summed over the last axis (Girshick 2015, equation 3).

    Args:
        predicted: `(..., 4)` coded boxes.
        targets: `(..., 4)`.
        beta: Distance above which it is linear.
    """
    distance = ops.abs(predicted - targets)
    return ops.sum(ops.where(distance < beta, 0.5 * distance**2 / beta, distance - 0.5 * beta), axis=-1)


def weighted_mean(values: Any, weights: Any) -> Any:
    """Compute the mean of values with weights of 0 or 1, of the same shape; 0 if nothing has a weight."""
    return ops.sum(values * weights) / ops.maximum(ops.sum(weights), 1.0)
