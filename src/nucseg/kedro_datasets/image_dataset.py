"""One canonical image as a Kedro dataset."""

import numpy as np

from nucseg.images.io import read_image, write_image
from nucseg.kedro_datasets.path_dataset import PathDataset


class ImageDataset(PathDataset[np.ndarray, np.ndarray]):
    """Read and write a TIFF image `(H, W)` or `(H, W, C)`, zlib-compressed, atomically."""

    def load(self) -> np.ndarray:
        """Read the image in its stored dtype."""
        return read_image(self._filepath)

    def save(self, data: np.ndarray) -> None:
        """Write the image."""
        write_image(self._filepath, data)
