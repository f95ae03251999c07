"""Which other file shows the same field as an image: by the part that their names share."""

import re
from collections.abc import Iterator

from nucseg.core.errors import InputError
from nucseg.images.places import SUFFIXES, file_system

_END = re.compile(r"[/\\]")


def check_pattern(pattern: str) -> None:
    """Refuse what is no pattern of a file that belongs to an image.

    Raises:
        ValueError: It has not one `*`, or has it in a folder's name.
    """
    folder, name = _split(pattern)
    if name.count("*") != 1 or "*" in folder or set("?[") & set(name):
        raise ValueError(
            f"{pattern!r} must have one `*`, in the name of the file: the part that it shares with the image"
        )


def partner_of(url: str, pattern: str) -> str:
    """Find the file that belongs to an image.

    `*` stands for the part of the name that both share: `*_GFP.tif` and `A01_DAPI.tif` give `A01_GFP.tif`. The rest of
    the names may differ in its words, but not in their number, so that `A01_GFP.tif` is not taken for
    `A01_s2_DAPI.tif`. A relative pattern begins in the image's folder.

    Args:
        url: The image's path or URL.
        pattern: As `check_pattern` allows it.

    Returns:
        Its path or URL.

    Raises:
        InputError: There is no such file.
    """
    above, image = _split(url)
    folder, name = _split(pattern)
    if "://" not in folder and not folder.startswith(("/", "~/")):
        folder = above + folder
    before, after = name.split("*")
    for shared in _shared(image, before, after):
        candidate = f"{folder}{before}{shared}{after}"
        files, path = file_system(candidate)
        if candidate != url and files.exists(path):
            return candidate
    raise InputError(
        f"{url}: no file matches {pattern} and shares its name with the image; check the pattern and files."
    )


def _shared(image: str, before: str, after: str) -> Iterator[str]:
    """Find the parts of an image's name that `*` may stand for, the longest first."""
    stem, rest = _stem(image), _stem(after)
    if stem.startswith(before):  # what stands behind the shared part differs
        inner = stem[len(before) :]
        for length in range(len(inner), 0, -1):
            if _separators(inner[length:]) == _separators(rest) and _parts(inner, length):
                yield inner[:length]
    if before and stem.endswith(rest):  # what stands before it differs
        inner = stem[: len(stem) - len(rest)]
        for start in range(len(inner)):
            if _separators(inner[:start]) == _separators(before) and _parts(inner, start):
                yield inner[start:]


def _separators(text: str) -> list[str]:
    """Return what separates the words of a text, with what stands before the first and behind the last."""
    return re.split(r"[^\W_]+", text)


def _parts(text: str, place: int) -> bool:
    """Return whether a name can be cut there: not within a number, and within a word only where a capital follows."""
    left, right = text[place - 1 : place], text[place : place + 1]
    if not left or not right:
        return True
    if left.isdigit() or right.isdigit():
        return not (left.isdigit() and right.isdigit())
    return not (left.isalpha() and right.isalpha()) or (left.islower() and right.isupper())


def _stem(name: str) -> str:
    for suffix in (*SUFFIXES, ".ome"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name


def _split(path: str) -> tuple[str, str]:
    """Split a path or URL into its folder, with the last slash, and its name."""
    name = _END.split(path.rstrip("/"))[-1]
    return path[: len(path.rstrip("/")) - len(name)], name
