"""The steps of a tile of semantic segmentation. Pure: safe to run twice, anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nucseg.images.extent import Extent
from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.source import ImageSource
from nucseg.inference.engine import Look
from nucseg.inference.semantic.parts import ClassMosaic, ClassPart
from nucseg.inference.tiles import TileGrid
from nucseg.inference.view import NetworkView
from nucseg.models.protocols import SemanticSegmenter


@dataclass(frozen=True)
class SemanticSteps:
    """The steps of a tile; see `TileSteps`. A tile reads all that changes its pixels, so it needs no other.

    Attributes:
        model: The model.
    """

    model: SemanticSegmenter

    def look(self, source: ImageSource, fitted: FittedPreprocessor, at_once: bool) -> Look:
        """Return scale 1: classes say nothing about sizes."""
        return Look(1.0)

    def needed(self, grid: TileGrid, tile: int) -> list[int]:
        """Return the tile."""
        return [tile]

    def propose(self, view: NetworkView, grid: TileGrid, tiles: Sequence[int]) -> list[ClassPart]:
        """Run the network over tiles and their halos; return what each owns."""
        places = [grid.reads(tile) for tile in tiles]
        cores = [grid.core(tile) for tile in tiles]
        inside = [core.within(place) for core, place in zip(cores, places, strict=True)]
        found = self.model.probabilities([view.read(place) for place in places], inside)
        return [
            ClassPart.of(place, restored)
            for restored, place in (view.restore(each, core) for each, core in zip(found, cores, strict=True))
        ]

    def nothing(self) -> ClassPart:
        """Return a part without pixels."""
        return ClassPart.nothing()

    def inside(self, part: ClassPart, extent: Extent) -> ClassPart:
        """Return the part with class 0 outside of the extent."""
        return part.inside(extent)

    def decode(self, view: NetworkView, grid: TileGrid, tile: int, proposals: Mapping[int, Any]) -> ClassPart:
        """Return what the network said."""
        return proposals[tile]

    def whole(
        self, view: NetworkView, grid: TileGrid, parts: Sequence[ClassPart], smaller: Mapping[float, Any]
    ) -> ClassMosaic:
        """Join all tiles."""
        return ClassMosaic(view.image_shape, self.model.classes, list(parts))
