"""Kedro adapters that kedro-datasets lacks: TIFF images, label images, the manifest, folders and models."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset

from nucseg.core.types import Sample
from nucseg.datasets.manifest import read_manifest, write_manifest
from nucseg.images.io import read_image, read_labels, write_image, write_labels
from nucseg.models.bundle import ModelBundle
from nucseg.models.shipped import trained_or_shipped

Saved = TypeVar("Saved")
Loaded = TypeVar("Loaded")


class PathDataset(AbstractDataset[Saved, Loaded], Generic[Saved, Loaded]):
    """A dataset that is a file or a folder of the local disk.

    Args:
        filepath: The file or folder.
        metadata: Notes that Kedro ignores; kedro-viz reads the layer from them.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class FolderDataset(PathDataset[Path, Path]):
    """Create a working folder and load its path, for nodes that manage their own files (downloads, checkpoints)."""

    def load(self) -> Path:
        """Create the folder if it is missing and return its path."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        return self._filepath

    def save(self, data: Path) -> None:
        """Refuse to save: nodes write into the folder themselves."""
        raise NotImplementedError(f"{self._filepath} is a working folder; nodes write into it, they do not return it.")

    def _exists(self) -> bool:
        # A working folder can always be created: `kedro run --only-missing-outputs` must not wait for one.
        return True


class ImageDataset(PathDataset[np.ndarray, np.ndarray]):
    """Read and write a TIFF image `(H, W)` or `(H, W, C)`, zlib-compressed, atomically."""

    def load(self) -> np.ndarray:
        """Read the image in its stored dtype."""
        return read_image(self._filepath)

    def save(self, data: np.ndarray) -> None:
        """Write the image."""
        write_image(self._filepath, data)


class LabelDataset(PathDataset[np.ndarray, np.ndarray]):
    """Read and write a TIFF label image `(H, W)`: uint16 on disk (uint32 above 65,535 nuclei), int32 in memory."""

    def load(self) -> np.ndarray:
        """Read the label image as int32."""
        return read_labels(self._filepath)

    def save(self, data: np.ndarray) -> None:
        """Write the label image."""
        write_labels(self._filepath, data)


class ManifestDataset(PathDataset[pd.DataFrame, list[Sample]]):
    """Save the manifest as a validated table and load it as samples with the paths of their files."""

    def load(self) -> list[Sample]:
        """Read and validate the manifest."""
        return read_manifest(self._filepath)

    def save(self, data: pd.DataFrame) -> None:
        """Validate and write the manifest, atomically."""
        write_manifest(self._filepath, data)


class ModelDataset(PathDataset[ModelBundle, ModelBundle]):
    """Save and load a model with its preprocessing, thresholds and run record, atomically."""

    def load(self) -> ModelBundle:
        """Load the model, or the shipped one of this name; this imports TensorFlow."""
        return ModelBundle.load(trained_or_shipped(self._filepath) or self._filepath)

    def save(self, data: ModelBundle) -> None:
        """Write the model's folder; the model is called like the folder."""
        replace(data, name=self._filepath.name).save(self._filepath)

    def _exists(self) -> bool:
        return trained_or_shipped(self._filepath) is not None
