"""The progress of a run: images, tiles and nuclei."""

from contextlib import AbstractContextManager
from threading import Lock
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm


class Progress(AbstractContextManager["Progress"]):
    """A progress bar over the tiles; their number grows with each image that is opened.

    Args:
        images: Number of images in the run.
        counts_nuclei: Whether the bar shows the number of nuclei; class maps have none.
    """

    def __init__(self, images: int, *, counts_nuclei: bool = True) -> None:
        self._images = images
        self._done = 0
        self._nuclei = 0
        self._counts_nuclei = counts_nuclei
        self._lock = Lock()
        self._bar: Any = tqdm(desc=f"image 0/{images}", total=0, unit="tile")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def open(self, tiles: int) -> None:
        """Add an image with this number of tiles."""
        with self._lock:
            self._bar.total += tiles
            self._bar.refresh()

    def tile(self, nuclei: int) -> None:
        """Count a tile with this number of nuclei."""
        with self._lock:
            self._nuclei += nuclei
            self._show_count(refresh=False)
            self._bar.update(1)

    def image(self) -> None:
        """Count an image."""
        with self._lock:
            self._done += 1
            self._bar.set_description_str(f"image {self._done}/{self._images}", refresh=False)
            self._show_count()

    def _show_count(self, *, refresh: bool = True) -> None:
        if self._counts_nuclei:
            self._bar.set_postfix_str(f"{self._nuclei} nuclei", refresh=refresh)
        elif refresh:
            self._bar.refresh()

    def quiet(self) -> AbstractContextManager[None]:
        """Hide the bar while something else is written to the terminal."""
        return self._bar.external_write_mode()
