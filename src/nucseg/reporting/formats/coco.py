"""COCO JSON: one image, its nuclei as annotations with compressed run lengths."""

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from nucseg.core.errors import InputError
from nucseg.core.files import atomic_file
from nucseg.masks.boxes import boxes
from nucseg.measurements.field import Field
from nucseg.reporting.formats.runs import nucleus_runs
from nucseg.reporting.instances.exports import NUCLEUS_CATEGORY


def write(field: Field, path: Path) -> None:
    """Write a COCO file: `images`, `categories` and `annotations`, each with `score`.

    Source: https://cocodataset.org/#format-data

    Args:
        field: The nuclei; annotation k is label k.
        path: The file.

    Raises:
        InputError: The image has more pixels than COCO's run lengths can count.
    """
    nuclei, source = field.nuclei, field.source
    height, width = nuclei.shape
    if height * width >= 2**32:
        raise InputError(f"{source.name}: COCO's masks count up to 2^32 pixels; choose another format than coco.")
    head = {
        "info": {"description": f"Nuclei found by nucseg in {field.name}"},
        "images": [{"id": 1, "file_name": source.name, "height": height, "width": width}],
        "categories": [{"id": NUCLEUS_CATEGORY, "name": "nucleus"}],
    }
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + ', "annotations": [')
        for group, runs in nucleus_runs(nuclei):
            corners = boxes(group.labels).astype(float) + np.array(group.window[:2] * 2)
            for place, (each, (y0, x0, y1, x1)) in enumerate(zip(runs, corners.tolist(), strict=True)):
                number = group.first + place
                edges = np.stack([each[:, 0] - 1, each.sum(1) - 1], axis=1).ravel()
                counts = np.diff(edges, prepend=0, append=height * width)
                counts = counts[: counts.size - (counts[-1] == 0)]
                mask = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
                annotation = {
                    "id": number,
                    "image_id": 1,
                    "category_id": NUCLEUS_CATEGORY,
                    "iscrowd": 0,
                    "area": int(each[:, 1].sum()),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "segmentation": {"size": [height, width], "counts": mask["counts"].decode("ascii")},
                    "score": float(group.scores[place]),
                }
                file.write((",\n" if number > 1 else "\n") + json.dumps(annotation))
        file.write("\n]}\n")
