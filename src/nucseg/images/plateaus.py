"""Whether a grey image is a label image or a mask: each of its areas has one value."""

import numpy as np
from numpy.typing import NDArray

# Of the pixels that are not background, those whose right neighbour is equal: 0.57 at most in the images of BBBC038's
# splits train and val, 0.83 at least in their label images and masks.
_EQUAL = 0.75
_FEWEST = 64  # pixels beside the background; fewer say nothing


class Plateaus:
    """Pixels of an image and their right neighbours, sampled band by band."""

    def __init__(self) -> None:
        self._pixels: list[NDArray] = []
        self._equal: list[NDArray[np.bool_]] = []

    def add(self, band: NDArray, step: int, first: int) -> None:
        """Add every `step`-th pixel of a band `(h, w)`, from the row `first` on."""
        right = band[first::step, 1::step]
        pixels = band[first::step, : band.shape[1] - 1 : step]
        self._pixels.append(pixels.ravel())
        self._equal.append((pixels == right).ravel())

    def are_labels(self) -> bool:
        """Return whether nearly all that is not background lies in areas of one value."""
        pixels = np.concatenate(self._pixels)
        if pixels.dtype.kind not in "bui" or not pixels.size:
            return False
        values, counts = np.unique(pixels, return_counts=True)
        rest = np.concatenate(self._equal)[pixels != values[counts.argmax()]]
        return len(rest) >= _FEWEST and bool(rest.mean() >= _EQUAL)
