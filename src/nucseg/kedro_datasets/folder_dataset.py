"""A working folder as a Kedro dataset, for libraries that keep files of their own."""

from pathlib import Path

from nucseg.kedro_datasets.path_dataset import PathDataset


class FolderDataset(PathDataset[Path, Path]):
    """Give the path of a folder (downloads, training checkpoints); the folder is made when it is first asked for."""

    def load(self) -> Path:
        """Make the folder where it is missing and return its path."""
        self._filepath.mkdir(parents=True, exist_ok=True)
        return self._filepath

    def save(self, data: Path) -> None:
        """Refuse: what fills the folder writes into it itself."""
        raise NotImplementedError(f"{self._filepath} is a working folder; nodes write into it, they do not return it.")

    def _exists(self) -> bool:
        # A working folder can always be had: `kedro run --only-missing-outputs` must not wait for one.
        return True
