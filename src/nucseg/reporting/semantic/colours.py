"""The colours of classes, as the Pascal VOC challenge defines them."""

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import VOID


def palette() -> NDArray[np.uint8]:
    """Return the colour of each class and of void, `(256, 3)` uint8, by the bits of its number: 0 is black.

    Bits 0, 1 and 2 of a number are the highest bits of red, green and blue, the next three the second highest, and so
    on. Void is light: the last of these colours.
    """
    numbers, colours = np.arange(VOID + 1), np.zeros((VOID + 1, 3), np.int64)
    for shift in range(8):
        for channel in range(3):
            colours[:, channel] |= ((numbers >> (3 * shift + channel)) & 1) << (7 - shift)
    return colours.astype(np.uint8)


def coloured(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the colours of a class map `(H, W)`, `(H, W, 3)`."""
    return palette()[classes]
