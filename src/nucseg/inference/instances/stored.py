"""The nuclei of an image as a file, from which results are written again without predicting."""

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from nucseg.core.files import atomic_file
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
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            facts=np.array(json.dumps(facts)),
            shape=np.array(nuclei.shape),
            windows=np.array([part.window for part in parts]).reshape(-1, 4),
            runs=np.array([len(part.lengths) for part in parts], np.int64),
            lengths=_joined([part.lengths for part in parts], np.int32),
            values=_joined([part.values for part in parts], np.int32),
            nuclei=np.array([len(part) for part in parts], np.int64),
            scores=_joined([part.scores for part in parts], np.float32),
            cut=_joined([part.cut for part in parts], np.bool_),
            around=np.array([len(each) for each in neighbours], np.int64),
            neighbours=_joined([np.array(each) for each in neighbours], np.int64),
        )


def load_facts(path: Path) -> dict[str, Any] | None:
    """Read the facts that were written with nuclei; None where there is no such file, or a damaged one."""
    try:
        with np.load(path, allow_pickle=False) as data:
            facts: dict[str, Any] = json.loads(str(data["facts"]))
            return facts
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def load_nuclei(path: Path) -> StitchedLabels:
    """Read what `save_nuclei` wrote.

    Raises:
        OSError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            runs, nuclei, around = (np.cumsum(data[name])[:-1] for name in ("runs", "nuclei", "around"))
            fields = [np.split(data[name], runs) for name in ("lengths", "values")]
            fields += [np.split(data[name], nuclei) for name in ("scores", "cut")]
            parts = [
                TileResult(Window(*window), *each)
                for window, *each in zip(data["windows"].tolist(), *fields, strict=True)
            ]
            neighbours = [each.tolist() for each in np.split(data["neighbours"], around)]
            rows, columns = data["shape"].tolist()
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        raise OSError(f"{path}: damaged ({error})") from error
    return StitchedLabels((rows, columns), parts, neighbours.__getitem__)


def _joined(arrays: list[Any], dtype: Any) -> Any:
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype)
