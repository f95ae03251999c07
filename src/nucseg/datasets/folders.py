"""Folders of the user's own images, and the CSV that describes them."""

import csv
from collections.abc import Collection
from pathlib import Path

from nucseg.core.errors import InputError

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder by name, but hidden ones; none if there is no folder."""
    return files(folder, SUFFIXES)


def find_images(folder: Path) -> list[Path]:
    """Return the images of a folder by name, but hidden ones.

    Raises:
        InputError: It is no folder, or has none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder of images.")
    found = image_files(folder)
    if not found:
        raise InputError(f"{folder}: has no file ending in one of {', '.join(SUFFIXES)}.")
    return found


def files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files of a folder that have one of the suffixes, by name, but hidden ones; none without a folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.suffix.lower() in suffixes and not path.name.startswith("."))


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV, one mapping per line; empty if there is no file.

    Raises:
        InputError: It is not readable.
    """
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is not readable as CSV ({error}). Save it as UTF-8 text with commas.") from error
