"""QuPath's GeoJSON: nuclei as detections with measurements."""

import json
from pathlib import Path

import numpy as np

from nucseg.core.files import atomic_file
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.masks.polygons import outlines


def write(nuclei: StitchedLabels, source: ImageSource, path: Path, name: str) -> None:
    """Write a FeatureCollection that QuPath (0.4 or newer) opens as detections, one feature per line.

    Each nucleus is the outer outline of its largest piece. Coordinates are as in `nucseg.masks.polygons`.
    Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html

    Args:
        nuclei: The nuclei found; measurement `Label` is the label.
        source: The image, for its pixel size.
        path: The file.
        name: Not used.
    """
    square = source.pixel_size[0] * source.pixel_size[1] if source.pixel_size else None
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for group in nuclei.blocks():
            areas = np.bincount(group.labels.ravel(), minlength=len(group.scores) + 1)[1:].tolist()
            for place, outline in enumerate(outlines(group.labels)):
                if not len(outline):
                    continue
                number = group.first + place
                ring = outline[:, ::-1] + (group.window.left, group.window.top)
                measurements = {"Label": number, "Score": float(group.scores[place]), "Area px^2": areas[place]}
                if square is not None:
                    measurements["Area \u00b5m^2"] = areas[place] * square
                feature = {
                    "type": "Feature",
                    "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
                    "properties": {
                        "objectType": "detection",
                        "classification": {"name": "Nucleus", "color": [0, 158, 115]},
                        "measurements": measurements,
                    },
                }
                file.write((",\n" if number > 1 else "\n") + json.dumps(feature))
        file.write("\n]}\n")
