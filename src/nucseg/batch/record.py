"""The record kept beside the results of a run, so that it can be resumed."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nucseg.core.files import atomic_file
from nucseg.images.content import Stack
from nucseg.images.find import RECORDS
from nucseg.images.plane_choice import Plane, plane_text
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.inference.instances.stored import load_facts, load_nuclei, save_nuclei
from nucseg.inference.tiles import TileGrid

Part = TypeVar("Part")


class StoredPart(Protocol):
    """What one tile found, as a file can hold it."""

    def save(self, path: Path) -> None:
        """Write the file atomically."""


def plane_record(image: str, plane: Plane, stack: Stack) -> str:
    """Return the name of the record of one plane of an image; the image's own if there is one plane."""
    return f"{image}.planes/{plane_text(plane)}" if len(stack.planes) > 1 else image


@dataclass(frozen=True)
class Finished:
    """What is known of an image whose results are written.

    Attributes:
        nuclei: How many were found.
        figures: What else its row of the summary holds.
        stack: The planes that were predicted.
        incomplete: As of `ImageResult`.
    """

    nuclei: int
    figures: Mapping[str, str | int | float] = field(default_factory=dict)
    stack: Stack = field(default_factory=Stack)
    incomplete: str | None = None


@dataclass(frozen=True)
class NucleiFacts:
    """What is saved with the nuclei of an image.

    Attributes:
        image: The image's absolute path, or its URL.
        threshold: Lowest score of a nucleus that was kept.
        notes: What the prediction noted on how the image was read.
        incomplete: As of `ImageResult`.
        scale: Factor by which the image was resized for the model; None if it is not known.
        model: Name of the model.
        version: Version of nucseg.
    """

    image: str
    threshold: float
    notes: tuple[str, ...]
    incomplete: str | None = None
    scale: float | None = None
    model: str = ""
    version: str = ""


@dataclass(frozen=True)
class ImageRecord:
    """The record of one image: tiles while it runs; when it is done, its nuclei and a summary.

    Attributes:
        output: The run's output folder.
        name: The image's name.
        prediction: Everything that the nuclei depend on; nuclei of other settings are not used. JSON types only.
        settings: Everything that the results depend on; results of other settings are not resumed. JSON types only.
    """

    output: Path
    name: str
    prediction: dict[str, Any]
    settings: dict[str, Any]

    @property
    def _done(self) -> Path:
        return self.output / RECORDS / f"{self.name}.json"

    @property
    def _nuclei(self) -> Path:
        return self.output / RECORDS / f"{self.name}.nuclei.npz"

    @property
    def _tiles(self) -> Path:
        return self.output / RECORDS / f"{self.name}.tiles"

    def _tile(self, tile: int, grid: TileGrid) -> Path:
        facts = json.dumps([self.prediction, asdict(grid)], sort_keys=True)
        return self._tiles / hashlib.sha256(facts.encode()).hexdigest()[:16] / f"{tile}.npz"

    def finished(self, files: Sequence[Path]) -> Finished | None:
        """Return what is known of an image that was finished with the same settings and all these files."""
        summary = self.summary()
        same = summary and summary["settings"] == self.settings and all(file.exists() for file in files)
        if not summary or not same:
            return None
        figures, incomplete = summary.get("figures", {}), summary.get("incomplete")
        return Finished(int(summary["nuclei"]), figures, incomplete=incomplete)

    def summary(self) -> dict[str, Any] | None:
        """Read what `finish` wrote: `nuclei`, `figures`, `settings` and `options`; None if there is nothing."""
        try:
            summary: dict[str, Any] = json.loads(self._done.read_text())
            return summary
        except (OSError, ValueError):
            return None

    def finish(self, found: Finished, options: dict[str, Any]) -> None:
        """Record that the image is done, and with which options it was written; delete its tiles."""
        with atomic_file(self._done) as temporary:
            temporary.write_text(json.dumps({**asdict(found), "settings": self.settings, "options": options}, indent=2))
        self.forget_tiles()

    def keep(self, nuclei: StitchedLabels, facts: NucleiFacts) -> None:
        """Save the nuclei of the image, from which its results can be written again; delete its tiles."""
        save_nuclei(self._nuclei, nuclei, {**asdict(facts), "prediction": self.prediction})
        self.forget_tiles()

    def stack(self) -> Stack:
        """Read which planes `finish` wrote the results of."""
        stored = (self.summary() or {}).get("stack") or asdict(Stack())
        planes, axes = (tuple(map(tuple, stored[name])) for name in ("planes", "axes"))
        return Stack(planes, axes, tuple(stored["notes"]))

    def facts(self) -> tuple[NucleiFacts, dict[str, Any]] | None:
        """Read the facts that were saved with the nuclei, and the settings that these depend on."""
        facts = load_facts(self._nuclei)
        if facts is None:
            return None
        prediction = facts.pop("prediction")
        return NucleiFacts(**{**facts, "notes": tuple(facts["notes"])}), prediction

    def nuclei(self) -> StitchedLabels | None:
        """Read the nuclei; None if they are missing or damaged."""
        try:
            return load_nuclei(self._nuclei)
        except OSError:
            return None

    def forget_tiles(self) -> None:
        """Remove the tiles of this image, of any settings."""
        shutil.rmtree(self._tiles, ignore_errors=True)

    def save_tile(self, tile: int, grid: TileGrid, part: StoredPart) -> None:
        """Save the result of a tile of a grid."""
        part.save(self._tile(tile, grid))

    def saved_tiles(self, grid: TileGrid, load: Callable[[Path], Part]) -> dict[int, Part]:
        """Return the tiles of a grid that an earlier run has finished, without damaged ones.

        Args:
            grid: The grid.
            load: Reads a part from its file; an OSError says that it is missing or damaged.
        """
        found = {}
        for tile in grid:
            try:
                found[tile] = load(self._tile(tile, grid))
            except OSError:
                continue
        return found
