"""The loss of semantic segmentation: cross-entropy and soft Jaccard. Keras alone, for any backend."""

from typing import Any

import keras

from nucseg.core.types import VOID

_SMALL = 1e-6


class CrossEntropyAndJaccard(keras.losses.Loss):
    """Cross-entropy of the annotated pixels, minus the logarithm of the soft Jaccard index of each class.

    The index of a class is the sum over all pixels of the batch of `p t`, divided by that of `p + t - p t`, where p is
    its probability and t is 1 where it is the truth (Iglovikov & Shvets 2018, https://arxiv.org/abs/1801.05746). Only
    classes that the batch shows have one. A batch without annotated pixels has a loss of 0.

    Args:
        jaccard_weight: Weight of the second part, from 0 to 1; the first has the rest.
    """

    def __init__(self, jaccard_weight: float) -> None:
        super().__init__(name="cross_entropy_and_jaccard", reduction="mean")
        self.jaccard_weight = jaccard_weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compute the loss of a batch.

        Args:
            y_true: `(N, H, W, 1)`: the class of each pixel, or `VOID`.
            y_pred: `(N, H, W, C)`: logits.

        Returns:
            A scalar.
        """
        ops = keras.ops
        logits = ops.cast(y_pred, "float32")
        classes = ops.cast(y_true[..., 0], "int32")
        known = ops.cast(classes != VOID, "float32")[..., None]
        truth = ops.one_hot(classes, logits.shape[-1], dtype="float32") * known  # zeros where it is void
        logarithms = ops.log_softmax(logits)
        entropy = -ops.sum(truth * logarithms) / ops.maximum(ops.sum(known), 1.0)
        probabilities = ops.exp(logarithms) * known
        shared = ops.sum(truth * probabilities, (0, 1, 2))
        pixels = ops.sum(truth, (0, 1, 2))
        jaccard = shared / (ops.sum(probabilities, (0, 1, 2)) + pixels - shared + _SMALL)
        shown = ops.cast(pixels > 0, "float32")
        logarithm = ops.sum(shown * ops.log(jaccard + _SMALL)) / ops.maximum(ops.sum(shown), 1.0)
        return (1 - self.jaccard_weight) * entropy - self.jaccard_weight * logarithm
