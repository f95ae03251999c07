"""The outcome of one image of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ImageResult:
    """The outcome of one image.

    Attributes:
        image: Its path or URL.
        name: Name of its results.
        nuclei: Number of nuclei found; None if it failed.
        files: The files that were written.
        error: One line that says why it failed, or None.
        incomplete: One line that names the parts of the image that could not be read, where the rest was; or None.
        skipped: Whether an earlier run had finished it.
        has_results: Whether it failed because it already has results.
        seconds: Time spent on it.
        notes: Remarks for the user on how it was read; see `ImageSource.notes`.
        figures: What else its row of the summary holds; see `Results.write`.
    """

    image: str
    name: str
    nuclei: int | None = None
    files: tuple[Path, ...] = ()
    error: str | None = None
    incomplete: str | None = None
    skipped: bool = False
    has_results: bool = False
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    figures: Mapping[str, str | int | float] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether all of the image was predicted and all results were written."""
        return self.error is None and self.incomplete is None
