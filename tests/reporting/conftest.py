"""Two models with known scores, as metrics.json has them."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from nucseg.metrics.instances.definitions import METRICS


def _group(f1: float | None, n_images: int = 2) -> dict[str, Any]:
    return {
        "n_images": n_images,
        "n_true": 1200 * n_images,
        "n_pred": 10,
        "f1_50": f1,
        "ap_50": f1,
        "ap_75": None if f1 is None else f1 / 2,
        "ap_95": 0.0,
        "ap_mean_50_90": 0.25,
        "dsb2018_score": 0.125,
    }


@pytest.fixture
def metrics() -> list[dict[str, Any]]:
    rows = [asdict(replace(row, definition=f"What {row.key} is.")) for row in METRICS if row.key in _group(0.0)]
    by = {
        "dataset": {"set2": _group(0.5, 1), "set1": _group(0.75, 1)},
        "modality": {"fluorescence": _group(0.625)},
        "test_class": {},
    }
    other_by = {
        "dataset": {"set1": _group(None, 1), "set2": _group(0.25, 1)},
        "modality": {"fluorescence": _group(0.25)},
        "test_class": {},
    }
    return [
        {"model": "stardist", "n_images": 2, "overall": _group(0.625), "by": by, "metrics": rows},
        {"model": "mask_rcnn", "n_images": 2, "overall": _group(0.25), "by": other_by, "metrics": rows},
    ]
