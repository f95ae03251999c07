"""Mitoses as files: a table, points for QuPath, the counts, and a picture of the densest field."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from nucseg.core.files import atomic_file
from nucseg.core.window import Window
from nucseg.images.source import ImageSource
from nucseg.inference.mitoses.find import Mitoses
from nucseg.reporting.mitoses.figures import figures, remark
from nucseg.reporting.pictures import read_every

_LARGEST_SIDE = 2000  # pixels of the picture
_RADIUS_UM = 12.0  # of the ring round a mitosis
_RING, _FIELD = (0, 255, 255), (255, 200, 0)


def write_csv(found: Mitoses, source: ImageSource, path: Path, name: str) -> None:
    """Write one row per mitosis, by decreasing probability: the image's name and the columns of `Mitoses.table`.

    Args:
        found: The mitoses.
        source: Not used.
        path: The file.
        name: What goes into the column `image`.
    """
    with atomic_file(path) as temporary:
        found.table.assign(image=name)[["image", *found.table]].to_csv(temporary, index=False)


def write_geojson(found: Mitoses, source: ImageSource, path: Path, name: str) -> None:
    """Write a FeatureCollection that QuPath (0.4 or newer) opens as points of the class Mitosis.

    Coordinates are (column, row) of pixel corners: the centre of the first pixel is (0.5, 0.5).
    Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html

    Args:
        found: The mitoses.
        source: Not used.
        path: The file.
        name: Not used.
    """
    points = (found.table[["centroid-1", "centroid-0"]].to_numpy(np.float64) + 0.5).tolist()
    facts = found.table[["probability", "label"]].to_numpy(np.float64).tolist()
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": point},
            "properties": {
                "objectType": "annotation",
                "classification": {"name": "Mitosis", "color": [213, 94, 0]},
                "measurements": {"Probability": probability, "Label": int(label)},
            },
        }
        for point, (probability, label) in zip(points, facts, strict=True)
    ]
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def write_json(found: Mitoses, source: ImageSource, path: Path, name: str) -> None:
    """Write the counts, what they depend on, and the mitoses with row and column in micrometres.

    Args:
        found: The mitoses.
        source: Not used.
        path: The file.
        name: The image's name.
    """
    places = [
        {"row_um": round(row, 2), "column_um": round(column, 2), "probability": round(probability, 4)}
        for (row, column), probability in zip(found.points_um.tolist(), found.table["probability"], strict=True)
    ]
    content = {
        "image": name,
        "nuclei": found.nuclei,
        **vars(figures(found)),
        "threshold": found.threshold,
        "pixel_size_um": list(found.pixel_size),
        "remark": remark(found),
        "places": places,
    }
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1))


def write_png(found: Mitoses, source: ImageSource, path: Path, name: str) -> None:
    """Write a picture of the densest field with a ring round each mitosis; of the whole slide if there is no field.

    Args:
        found: The mitoses.
        source: The slide.
        path: The file.
        name: Not used.
    """
    window = Window.whole(found.shape)
    if found.densest:
        centre, reach = (np.divide(each, found.pixel_size) for each in (found.densest.centre, found.densest.radius))
        window = Window(*np.rint([*(centre - reach), *(centre + reach)]).astype(int).tolist()).common(window)
    step = -(-max(window.shape) // _LARGEST_SIDE)
    picture = Image.fromarray(np.ascontiguousarray(read_every(source, window, step)[..., :3]))
    draw = ImageDraw.Draw(picture)
    # Sides of a pixel of the picture in micrometres, (column, row).
    size = step * np.array(found.pixel_size[::-1])
    rings = [(point, _RADIUS_UM, _RING) for point in found.points_um]
    if found.densest:
        rings.append((np.array(found.densest.centre), found.densest.radius, _FIELD))
    for point, radius, colour in rings:
        middle = (point[::-1] / found.pixel_size[::-1] - (window.left, window.top)) / step
        draw.ellipse([*(middle - radius / size), *(middle + radius / size)], outline=colour, width=3)
    with atomic_file(path) as temporary:
        picture.save(temporary)


FILES: Mapping[str, Callable[[Mitoses, ImageSource, Path, str], None]] = {
    "csv": write_csv,
    "geojson": write_geojson,
    "json": write_json,
    "png": write_png,
}
"""The writers by the suffix of what they write. No other place lists them."""
