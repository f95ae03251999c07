"""A model folder as a Kedro dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

if TYPE_CHECKING:
    from nucseg.models.bundle import ModelBundle


class ModelDataset(AbstractDataset["ModelBundle", "ModelBundle"]):
    """Save and load a model with its preprocessing, thresholds and run record, atomically.

    Args:
        filepath: The model's folder.
        metadata: Free notes; Kedro ignores them.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> ModelBundle:
        """Load the model (TensorFlow is imported now)."""
        from nucseg.models.bundle import ModelBundle

        return ModelBundle.load(self._filepath)

    def save(self, data: ModelBundle) -> None:
        """Write the model's folder."""
        data.save(self._filepath)

    def _exists(self) -> bool:
        return (self._filepath / "config.json").is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
