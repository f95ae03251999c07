"""One label image as a Kedro dataset."""

from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset

from nucseg.images.io import read_labels, write_labels


class LabelDataset(AbstractDataset[np.ndarray, np.ndarray]):
    """Read and write a TIFF label image `(H, W)`: uint16 on disk (uint32 above 65,535 nuclei), int32 in memory.

    Args:
        filepath: The TIFF file.
        metadata: Free notes; Kedro ignores them.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> np.ndarray:
        """Read the label image as int32."""
        return read_labels(self._filepath)

    def save(self, data: np.ndarray) -> None:
        """Write the label image."""
        write_labels(self._filepath, data)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
