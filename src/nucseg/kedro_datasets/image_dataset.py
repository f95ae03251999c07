"""One canonical image as a Kedro dataset."""

from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset

from nucseg.images.io import read_image, write_image


class ImageDataset(AbstractDataset[np.ndarray, np.ndarray]):
    """Read and write a TIFF image `(H, W)` or `(H, W, C)`, zlib-compressed, atomically.

    Args:
        filepath: The TIFF file.
        metadata: Free notes; Kedro ignores them.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> np.ndarray:
        """Read the image in its stored dtype."""
        return read_image(self._filepath)

    def save(self, data: np.ndarray) -> None:
        """Write the image."""
        write_image(self._filepath, data)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
