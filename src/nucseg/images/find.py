"""Find the images of paths, folders, patterns and URLs, and name the results of each."""

import glob
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from nucseg.core.errors import InputError
from nucseg.core.words import counted
from nucseg.images.places import (
    FILE_SUFFIXES,
    SUFFIXES,
    file_system,
    image_stem,
    is_http,
    is_image_folder,
    is_local,
    is_special,
    is_zarr,
    path_parts,
)

RECORDS = ".nucseg"
"""The folder of a run's records, beside the folders of its results."""

_SIDECARS = ("thumbs.db", "desktop.ini")  # hidden on Windows


@dataclass(frozen=True)
class FoundImage:
    """An image to be predicted.

    Attributes:
        url: Its path or URL.
        name: Name of its results, without suffix; a path with folders if several images have that name.
        error: One line with the reason why there is nothing to predict, or None.
    """

    url: str
    name: str
    error: str | None = None


@dataclass(frozen=True)
class FoundImages:
    """The images of a list of inputs.

    Attributes:
        images: In the order of the inputs, each once; an input without images is listed with an error.
        notes: One line for each folder or pattern in which something was skipped.
    """

    images: list[FoundImage]
    notes: list[str]


@dataclass(frozen=True)
class _Entry:
    """An entry of a folder or a pattern.

    Attributes:
        path: On its file system.
        url: The URL or path to open.
        below: The path relative to the folder, with `/`.
        is_folder: Whether it is a folder.
        is_special: Whether it is a pipe, a socket or a device.
    """

    path: str
    url: str
    below: str
    is_folder: bool
    is_special: bool = False


@dataclass
class _LeftOut:
    """What was skipped in a folder or a pattern: counts, and the names of files of other types."""

    hidden: int = 0
    results: int = 0
    folders: int = 0
    loops: int = 0
    specials: int = 0
    others: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        some = ", ".join(self.others[:2]) + (", ..." if len(self.others) > 2 else "")
        parts = [
            (self.hidden, counted(self.hidden, "hidden file")),
            (self.results, f"{counted(self.results, 'result')} of nucseg"),
            (len(self.others), f"{counted(len(self.others), 'file')} of other types ({some})"),
            (self.specials, f"{counted(self.specials, 'special file')} (pipe, socket or device)"),
            (self.folders, counted(self.folders, "folder")),
            (self.loops, f"{counted(self.loops, 'link')} back to a parent folder"),
        ]
        return ", ".join(text for number, text in parts if number)


def find_images(inputs: Sequence[str], results: Sequence[Path] = ()) -> FoundImages:
    """Find the images of files, folders, patterns, plates and URLs.

    Results are named after the image; for an image of a pattern, by its path relative to the pattern's folder; for a
    field of a plate, by plate, row, column and field. If two names were the same, all are named by their paths relative
    to their common folder.

    Args:
        inputs: Files, folders, OME-Zarr images and plates, patterns (`*`, `?`, `[…]`, `**`), also as URLs.
        results: Folders of results, whose files are not images of a folder or pattern above them; nor are those of
            folders of the same names that earlier runs have written elsewhere.

    Returns:
        The images. An input that names a file is listed whether it exists or not. A folder or a pattern without images,
        or whose file system cannot be listed, is listed with an error.
    """
    found: dict[str, FoundImage] = {}
    notes = []
    for given in inputs:
        try:
            images, note = _expanded(given, {folder.absolute() for folder in results})
        except InputError as error:
            images, note = [FoundImage(given, image_stem(given), str(error))], ""
        except Exception as error:  # whatever a file system says
            why = " ".join(f"{type(error).__name__}: {error}".split())
            images, note = [FoundImage(given, image_stem(given), f"{given}: cannot be listed ({why}).")], ""
        for image in images:
            found.setdefault(image.url if "://" in image.url else file_system(image.url)[1], image)
        notes += [note] if note else []
    return FoundImages(_named(list(found.values())), notes)


def _named(images: list[FoundImage]) -> list[FoundImage]:
    """Name images of equal names by their paths relative to their common folder; refuse names that are still equal."""
    good = [image for image in images if not image.error]
    if len({image.name.casefold() for image in good}) < len(good):
        levels = zip(*(path_parts(image.url)[:-1] for image in good), strict=False)
        shared = sum(1 for _ in itertools.takewhile(lambda level: len(set(level)) == 1, levels))
        images = [
            image if image.error else replace(image, name="/".join(path_parts(image.url)[shared:])) for image in images
        ]
    first: dict[str, str] = {}
    named = []
    for image in images:
        if not image.error and (other := first.setdefault(image.name, image.url)) != image.url:
            named.append(replace(image, error=f"{image.url}: its results would replace those of {other}; rename it."))
        else:
            named.append(image)
    return named


def _expanded(given: str, results: Set[Path]) -> tuple[list[FoundImage], str]:
    """Find the images that one input stands for, and describe what was skipped."""
    if not given:
        raise InputError("an input is empty; give the path or URL of an image, or a folder.")
    files, path = file_system(given)
    if is_local(files):
        base, pattern = _local_pattern(Path(path if given.startswith("~/") else given))
        if not pattern:
            return _members(files, path, given, image_stem(given)), ""
        loops: set[Path] = set()
        entries = _local(base, pattern, loops)
        chosen, left_out = _sorted_out(files, entries, _results_below(base.absolute(), results))
        left_out.loops = len(loops)
        hint = _hint(base)
    else:
        start, pattern, listed = _remote_listing(files, path, given)
        if listed is None:
            return _members(files, path, given, image_stem(given)), ""
        chosen, left_out = _sorted_out(files, _remote(files, start, listed), lambda entry: False)
        hint = ""
    if "**" in pattern:
        left_out.folders = 0  # they were looked into
    left = f"{left_out}{hint if left_out.folders else ''}"
    if not chosen:
        kind = "the folder contains no image" if pattern == "*" else "no image matches"
        raise InputError(f"{given}: {kind} ({', '.join(SUFFIXES)}){f'; skipped: {left}' if left else ''}.")
    images = []
    for each in chosen:
        images += _members(files, each.path, each.url, "/".join(path_parts(f"/{each.below}")))
    return images, f"{given}: skipped {left}." if left else ""


def _local_pattern(given: Path) -> tuple[Path, str]:
    """Split a path into an existing folder and a pattern below it; the pattern is empty for the path of an image."""
    if given.is_dir() and not is_image_folder(*file_system(str(given))):
        return given, "*"
    if given.exists():
        return given, ""
    parts, kept = given.parts, 0
    while kept < len(parts) - 1 and (not glob.has_magic(parts[kept]) or Path(*parts[: kept + 1]).is_dir()):
        kept += 1
    pattern = "/".join(parts[kept:])
    return Path(*parts[:kept]), pattern if glob.has_magic(pattern) else ""


def _local(base: Path, pattern: str, loops: set[Path]) -> Iterator[_Entry]:
    for place in sorted(_matching(base, pattern, loops)):
        below = place.relative_to(base).as_posix()
        yield _Entry(str(place.absolute()), str(place), below, place.is_dir(), is_special(place))


def _matching(base: Path, pattern: str, loops: set[Path]) -> set[Path]:
    """Return the matches below a folder; add links that are not followed to `loops`."""
    parts = pattern.split("/")
    if "**" not in parts:
        # Not `Path.glob`, which does not look into linked folders.
        found = glob.iglob(pattern, root_dir=base, include_hidden=True)  # noqa: PTH207
        return {base / below for below in found}
    # Not the `**` of `glob`, which follows a link to a folder above as often as the system allows.
    deep = parts.index("**")
    starts = _matching(base, "/".join(parts[:deep]), loops) if deep else {base}
    rest = "/".join(parts[deep + 1 :]) or "*"
    folders = (folder for start in starts for folder in _folders(start, loops))
    return {place for folder in folders for place in _matching(folder, rest, loops)}


def _folders(base: Path, loops: set[Path]) -> Iterator[Path]:
    """List a folder and all folders below it, including linked ones, except links back to a folder above."""
    for path, names, _ in os.walk(base, followlinks=True):
        folder = Path(path)
        for link in [folder / name for name in names if (folder / name).is_symlink()]:
            target = link.resolve()
            way = itertools.takewhile(lambda above: above.is_relative_to(base), link.parents)
            if any(above.resolve().is_relative_to(target) for above in way):
                names.remove(link.name)
                loops.add(link)
        yield folder


def _remote_listing(files: Any, path: str, given: str) -> tuple[str, str, dict[str, Any] | None]:
    """List a remote folder or pattern: the folder, the pattern and what is in it, or None for an image's own URL."""
    # In a web address a question mark begins the query.
    wildcard = re.search(r"^[^?*\[]*([*\[])" if is_http(path) else r"([*?\[])", path)
    if wildcard and not files.exists(path):
        return path[: path.rfind("/", 0, wildcard.start(1)) + 1], path, files.glob(path, detail=True)
    if given.endswith("/") and not is_zarr(files, path):
        return f"{path.rstrip('/')}/", "*", {each["name"]: each for each in files.ls(path, detail=True)}
    return path, "", None


def _remote(files: Any, base: str, listed: dict[str, Any]) -> Iterator[_Entry]:
    for path, about in sorted(listed.items()):
        below = path.removeprefix(base).strip("/")
        if path.startswith(base) and below:
            named = unquote(below) if is_http(path) else below
            yield _Entry(path, files.unstrip_protocol(path), named, about["type"] == "directory")


def _results_below(base: Path, results: Set[Path]) -> Callable[[_Entry], bool]:
    """Return what tells whether an entry below a folder is a result; see `find_images`."""
    names = {folder.name for folder in results}

    @cache
    def holds_results(folder: Path) -> bool:
        return folder in results or (folder.name in names and (folder.parent / RECORDS).is_dir())

    def is_result(entry: _Entry) -> bool:
        place = Path(entry.path)
        above = itertools.takewhile(lambda folder: folder != base, (place, *place.parents))
        return any(map(holds_results, above))

    return is_result


def _sorted_out(
    files: Any, entries: Iterable[_Entry], is_result: Callable[[_Entry], bool]
) -> tuple[list[_Entry], _LeftOut]:
    """Split paths into images and what is skipped."""
    chosen, left_out = [], _LeftOut()
    image_folders: set[str] = set()
    for entry in entries:
        place = PurePosixPath(entry.below)
        suffix = place.suffix.lower()
        if any(str(parent) in image_folders for parent in place.parents):
            continue  # a part of an image
        if any(part.startswith(".") for part in place.parts) or place.name.lower() in _SIDECARS:
            left_out.hidden += 1
        elif is_result(entry):
            left_out.results += not entry.is_folder
        elif entry.is_folder and (is_local(files) or suffix == ".zarr") and is_image_folder(files, entry.path):
            chosen.append(entry)
            image_folders.add(entry.below)
        elif entry.is_folder:
            left_out.folders += 1
        elif suffix in FILE_SUFFIXES and entry.is_special:
            left_out.specials += 1
        elif suffix in FILE_SUFFIXES:
            chosen.append(entry)
        else:
            left_out.others.append(place.name)
    return chosen, left_out


def _hint(base: Path) -> str:
    """Name the pattern for the images in a folder's subfolders, if there are any."""
    for path in itertools.islice(base.glob("*/**/*"), 10_000):  # limited: the tree may be large
        below = path.relative_to(base).parts
        if path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in below):
            return f" (use '{base / '**' / '*'}{path.suffix}' for the images in subfolders)"
    return ""


def _members(files: Any, path: str, url: str, name: str) -> list[FoundImage]:
    """Replace a plate, or another Zarr group of several images, by its images."""
    members = []
    if is_zarr(files, path):
        from nucseg.images.collections import member_images

        # A damaged one is reported when it is opened.
        with suppress(Exception):
            members = member_images(Path(path) if is_local(files) else url)
    if not members:
        return [FoundImage(url, name)]
    return [
        FoundImage(f"{url.rstrip('/')}/{member}", "/".join([name, *path_parts(f"/{member}")])) for member in members
    ]
