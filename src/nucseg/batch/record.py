"""The record kept beside the results of a run, so that it can be resumed."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nucseg.core.files import atomic_file
from nucseg.inference.instances.parts import TileResult
from nucseg.inference.tiles import TileGrid

FOLDER = ".nucseg"
"""Within the output folder."""


@dataclass(frozen=True)
class Finished:
    """What is known of an image whose results are written.

    Attributes:
        nuclei: How many were found.
        figures: What else its row of the summary holds.
    """

    nuclei: int
    figures: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageRecord:
    """The record of one image: tiles while it runs, a summary when it is done.

    Attributes:
        output: The run's output folder.
        name: The image's name.
        settings: Everything that the nuclei depend on; results of other settings are not resumed. JSON types only.
    """

    output: Path
    name: str
    settings: dict[str, Any]

    @property
    def _done(self) -> Path:
        return self.output / FOLDER / f"{self.name}.json"

    @property
    def _tiles(self) -> Path:
        return self.output / FOLDER / f"{self.name}.tiles"

    def _tile(self, tile: int, grid: TileGrid) -> Path:
        facts = json.dumps([self.settings, asdict(grid)], sort_keys=True)
        return self._tiles / hashlib.sha256(facts.encode()).hexdigest()[:16] / f"{tile}.npz"

    def finished(self, files: list[Path]) -> Finished | None:
        """Return what is known of an image that was finished with the same settings and all these files."""
        try:
            summary = json.loads(self._done.read_text())
        except (OSError, ValueError):
            return None
        same = summary["settings"] == self.settings and all(file.exists() for file in files)
        return Finished(int(summary["nuclei"]), summary.get("figures", {})) if same else None

    def finish(self, found: Finished) -> None:
        """Record that the image is done, and delete its tiles."""
        with atomic_file(self._done) as temporary:
            temporary.write_text(json.dumps({**asdict(found), "settings": self.settings}, indent=2))
        self.forget_tiles()

    def forget_tiles(self) -> None:
        """Remove the tiles of this image, of any settings."""
        shutil.rmtree(self._tiles, ignore_errors=True)

    def save_tile(self, tile: int, grid: TileGrid, part: TileResult) -> None:
        """Save the result of a tile of a grid."""
        part.save(self._tile(tile, grid))

    def saved_tiles(self, grid: TileGrid) -> dict[int, TileResult]:
        """Return the tiles of a grid that an earlier run has finished, without damaged ones."""
        found = {}
        for tile in grid:
            try:
                found[tile] = TileResult.load(self._tile(tile, grid))
            except OSError:
                continue
        return found
