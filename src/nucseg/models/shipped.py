"""The models that come with nucseg: folders in a wheel, files of DVC's bundled store (by their hash) in a checkout."""

import hashlib
import json
import re
from pathlib import Path

from nucseg.core import package
from nucseg.core.errors import ModelError, StorageError
from nucseg.core.files import atomic_folder

WHEEL_FOLDER = "shipped"
"""Folder of the package that holds the models in a wheel (see setup.py)."""


def trained_or_shipped(folder: Path) -> Path | None:
    """Return a model's folder, or the shipped version that DVC's pointer beside it names.

    Args:
        folder: Folder of a model, such as `data/06_models/stardist`; a model that was trained or pulled there takes
            precedence.

    Returns:
        A folder with a `config.json`, or None if there is neither the folder nor its version in the bundled store.

    Raises:
        ModelError: The bundled store is damaged.
        StorageError: The shipped version cannot be unpacked anywhere.
    """
    if (folder / "config.json").is_file():
        return folder
    if not folder.name:
        return None
    pointer = folder.with_name(f"{folder.name}.dvc")
    version = _version(pointer)
    if version is None or not _stored(pointer, f"{version}.dir").is_file():
        return None
    from nucseg.core.cache import cache_folder  # setup.py imports this module when no package is installed

    # The cache is for a checkout that this user may not write to.
    places = [pointer.parent / f".shipped/{version}/{folder.name}", cache_folder() / version / folder.name]
    existing = next((place for place in places if place.is_dir()), None)
    if existing is not None:
        return existing
    try:
        return unpack(pointer, places[0])
    except StorageError:
        return unpack(pointer, places[1])


def in_wheel(name: str | Path) -> Path:
    """Return the folder in which a wheel holds the model of a name; a checkout has none."""
    return package.FOLDER / WHEEL_FOLDER / name


def unpack(pointer: Path, folder: Path) -> Path:
    """Copy the version that a pointer names out of the bundled store, checking each file.

    Args:
        pointer: DVC's pointer of a model's folder, in `data/06_models` of a checkout.
        folder: The folder to create; an existing one, from another process that was faster, is kept.

    Returns:
        `folder`.

    Raises:
        ModelError: A file is missing from the store or has other content.
        StorageError: The folder cannot be written.
    """
    with atomic_folder(folder, keep=True) as temporary:
        for entry in json.loads(_read(pointer, f"{_version(pointer)}.dir")):
            (temporary / entry["relpath"]).write_bytes(_read(pointer, entry["md5"]))
    return folder


def _version(pointer: Path) -> str | None:
    """Return the hash that a pointer to a folder holds, or None."""
    if not pointer.is_file():
        return None
    found = re.search(r"\bmd5: ([0-9a-f]{32})\.dir$", pointer.read_text(), re.MULTILINE)
    return found[1] if found else None


def _stored(pointer: Path, name: str) -> Path:
    return pointer.absolute().parents[2] / "dvc-store/files/md5" / name[:2] / name[2:]


def _read(pointer: Path, name: str) -> bytes:
    file = _stored(pointer, name)
    remedy = "Restore it: `git checkout -- dvc-store`."
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: a file of the model {pointer.stem} cannot be read ({error}). {remedy}") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != name.removesuffix(".dir"):
        raise ModelError(f"{file}: damaged; it is a file of the model {pointer.stem}. {remedy}")
    return content
