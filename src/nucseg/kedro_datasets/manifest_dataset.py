"""The manifest `samples.csv` as a Kedro dataset."""

import pandas as pd

from nucseg.core.types import Sample
from nucseg.datasets.manifest import read_manifest, write_manifest
from nucseg.kedro_datasets.path_dataset import PathDataset


class ManifestDataset(PathDataset[pd.DataFrame, list[Sample]]):
    """Save the manifest as a validated table and load it as samples whose paths lead to the files."""

    def load(self) -> list[Sample]:
        """Read and validate the manifest."""
        return read_manifest(self._filepath)

    def save(self, data: pd.DataFrame) -> None:
        """Validate and write the manifest, atomically."""
        write_manifest(self._filepath, data)
