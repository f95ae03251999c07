"""One label image as a Kedro dataset."""

import numpy as np

from nucseg.images.io import read_labels, write_labels
from nucseg.kedro_datasets.path_dataset import PathDataset


class LabelDataset(PathDataset[np.ndarray, np.ndarray]):
    """Read and write a TIFF label image `(H, W)`: uint16 on disk (uint32 above 65,535 nuclei), int32 in memory."""

    def load(self) -> np.ndarray:
        """Read the label image as int32."""
        return read_labels(self._filepath)

    def save(self, data: np.ndarray) -> None:
        """Write the label image."""
        write_labels(self._filepath, data)
