"""The nuclei of an image as a file, from which results are written again without predicting."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.arrays import opened_arrays, write_arrays
from nucseg.core.window import Window
from nucseg.inference.instances.parts import TileResult
from nucseg.inference.instances.stitched import StitchedLabels


def save_nuclei(path: Path, nuclei: StitchedLabels, facts: dict[str, Any]) -> None:
    """Write the nuclei of all tiles.

    Args:
        path: The file, written completely or not at all.
        nuclei: What was found; filtered nuclei are written without the filter.
        facts: What is written with them; JSON types only.

    Raises:
        StorageError: It cannot be written.
    """
    parts = nuclei.parts
    neighbours = [nuclei.neighbours(tile) for tile in range(len(parts))]
    arrays = {
        "facts": json.dumps(facts),
        "shape": nuclei.shape,
        "windows": np.array([part.window for part in parts]).reshape(-1, 4),
        "runs": np.array([len(part.lengths) for part in parts], np.int64),
        "lengths": _smallest(_joined([part.lengths for part in parts], np.int32)),
        "values": _smallest(_joined([part.values for part in parts], np.int32)),
        "nuclei": np.array([len(part) for part in parts], np.int64),
        "scores": _joined([part.scores for part in parts], np.float32),
        "cut": _joined([part.cut for part in parts], np.bool_),
        "around": np.array([len(each) for each in neighbours], np.int64),
        "neighbours": _joined([np.array(each) for each in neighbours], np.int64),
    }
    write_arrays(path, arrays, compressed=True)


def load_facts(path: Path) -> dict[str, Any] | None:
    """Read the facts that were written with nuclei; None where there is no such file, or a damaged one."""
    try:
        with opened_arrays(path) as data:
            facts: dict[str, Any] = json.loads(str(data["facts"]))
            return facts
    except OSError:
        return None


def load_nuclei(path: Path) -> StitchedLabels:
    """Read what `save_nuclei` wrote.

    Raises:
        OSError: The file is missing or damaged.
    """
    with opened_arrays(path) as data:
        runs, nuclei, around = (np.cumsum(data[name])[:-1] for name in ("runs", "nuclei", "around"))
        fields = [np.split(data[name].astype(np.int32), runs) for name in ("lengths", "values")]
        fields += [np.split(data[name], nuclei) for name in ("scores", "cut")]
        parts = [
            TileResult(Window(*window), *each) for window, *each in zip(data["windows"].tolist(), *fields, strict=True)
        ]
        neighbours = [each.tolist() for each in np.split(data["neighbours"], around)]
        rows, columns = data["shape"].tolist()
    return StitchedLabels((rows, columns), parts, neighbours.__getitem__)


def _smallest(counts: NDArray[np.int32]) -> NDArray:
    """Convert to the smallest unsigned integers that hold them: fewer bytes are compressed more quickly."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))


def _joined(arrays: list[Any], dtype: Any) -> Any:
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype)
