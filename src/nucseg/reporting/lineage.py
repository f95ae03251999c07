"""A model's origin as readable rows: the content of `run.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nucseg.models.run import RunRecord

_LONGEST_ROW = 160
_NAMES = {
    "data_sha256": "data sha256",
    "git_commit": "git commit",
    "splits": "images in each split",
    "versions": "package versions",
}


@dataclass(frozen=True)
class Lineage:
    """The report's description of a model's origin.

    Attributes:
        rows: Names and values that fit on a line.
        blocks: Names and indented JSON of those that do not (parameters, package versions).
    """

    rows: list[tuple[str, str]]
    blocks: list[tuple[str, str]]


def read_lineage(run: RunRecord) -> Lineage:
    """Format a run record for reading.

    Args:
        run: The record of a model. Every key of `run.json` is shown except `history`, which is drawn; lists of ids are
            counted, so that the page stays short.

    Returns:
        Short values as rows, long ones as blocks, in the order of the record.
    """
    rows, blocks = [], []
    for key, value in run.content().items():
        if key in ("history", "model"):
            continue
        name = _NAMES.get(key, key.replace("_", " "))
        counted = _count_lists(value)
        line = one_line(counted)
        if line is not None and len(line) <= _LONGEST_ROW:
            rows.append((name, line))
        else:
            blocks.append((name, json.dumps(counted, indent=2, ensure_ascii=False, default=str)))
    return Lineage(rows, blocks)


def _count_lists(value: Any) -> Any:
    """Replace long lists of text by their number of entries, and leave out every `history`."""
    if isinstance(value, Mapping):
        return {key: _count_lists(entry) for key, entry in value.items() if key != "history"}
    if _is_list(value) and value and all(isinstance(entry, str) for entry in value):
        return f"{len(value):,}" if len(value) > 3 else list(value)
    return value


def one_line(value: Any) -> str | None:
    """Write a value on one line, or return None if it is nested too deep for that."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        parts = {key: one_line(entry) for key, entry in flatten(value).items()}
        return None if None in parts.values() else " · ".join(f"{key}: {part}" for key, part in parts.items()) or "none"
    if _is_list(value):
        nested = any(isinstance(entry, Mapping) or _is_list(entry) for entry in value)
        return None if nested else ", ".join(map(str, value)) or "none"
    return str(value)


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Join the keys of nested mappings with dots."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        nested = flatten(value) if isinstance(value, Mapping) else {}
        flat |= {f"{key}.{name}": entry for name, entry in nested.items()} or {str(key): value}
    return flat


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
