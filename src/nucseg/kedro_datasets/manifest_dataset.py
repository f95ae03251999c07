"""The manifest `samples.csv` as a Kedro dataset."""

from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset

from nucseg.core.types import Sample
from nucseg.datasets.manifest import read_manifest, write_manifest


class ManifestDataset(AbstractDataset[pd.DataFrame, list[Sample]]):
    """Save the manifest as a validated table and load it as samples whose paths lead to the files.

    Args:
        filepath: The CSV file; the image and label paths in it are relative to its folder.
        metadata: Free notes; Kedro ignores them.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> list[Sample]:
        """Read and validate the manifest."""
        return read_manifest(self._filepath)

    def save(self, data: pd.DataFrame) -> None:
        """Validate and write the manifest, atomically."""
        write_manifest(self._filepath, data)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
