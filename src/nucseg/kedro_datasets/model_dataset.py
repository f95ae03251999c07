"""A model folder as a Kedro dataset."""

from nucseg.kedro_datasets.path_dataset import PathDataset
from nucseg.models.bundle import ModelBundle
from nucseg.models.shipped import trained_or_shipped


class ModelDataset(PathDataset[ModelBundle, ModelBundle]):
    """Save and load a model with its preprocessing, thresholds and run record, atomically."""

    def load(self) -> ModelBundle:
        """Load the model, or the shipped one of this name (TensorFlow is imported now)."""
        return ModelBundle.load(trained_or_shipped(self._filepath) or self._filepath)

    def save(self, data: ModelBundle) -> None:
        """Write the model's folder."""
        data.save(self._filepath)

    def _exists(self) -> bool:
        return trained_or_shipped(self._filepath) is not None
