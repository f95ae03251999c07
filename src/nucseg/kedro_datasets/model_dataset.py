"""A model folder as a Kedro dataset."""

from nucseg.kedro_datasets.path_dataset import PathDataset
from nucseg.models.bundle import ModelBundle


class ModelDataset(PathDataset[ModelBundle, ModelBundle]):
    """Save and load a model with its preprocessing, thresholds and run record, atomically."""

    def load(self) -> ModelBundle:
        """Load the model (TensorFlow is imported now)."""
        return ModelBundle.load(self._filepath)

    def save(self, data: ModelBundle) -> None:
        """Write the model's folder."""
        data.save(self._filepath)

    def _exists(self) -> bool:
        return (self._filepath / "config.json").is_file()
