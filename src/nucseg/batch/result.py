"""What became of one image of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ImageResult:
    """What became of one image.

    Attributes:
        image: Its path or URL.
        name: What its results are called.
        nuclei: How many were found; None where it failed.
        files: What was written.
        error: One line that says why it failed, or None.
        skipped: Whether an earlier run had finished it.
        has_results: Whether it failed because there are results of it already.
        seconds: Spent on it.
        notes: What the user should know of how it was read; see `ImageSource.notes`.
        figures: What else its row of the summary holds; see `Results.write`.
    """

    image: str
    name: str
    nuclei: int | None = None
    files: tuple[Path, ...] = ()
    error: str | None = None
    skipped: bool = False
    has_results: bool = False
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    figures: Mapping[str, str | int | float] = field(default_factory=dict)
