"""Train on this: a corrected layer becomes a training image, and enough of them a model."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np

from nucseg.core.errors import InputError
from nucseg.core.words import counted
from nucseg.finetuning.splits import FEWEST
from nucseg.images.io import read_image, write_image, write_labels
from nucseg.napari_plugin.find import segmenters
from nucseg.napari_plugin.layers import pixels_of, place_of

if TYPE_CHECKING:
    import napari.layers


def train_on_this(
    image: "napari.layers.Image",
    nuclei: "napari.layers.Labels",
    folder: Annotated[Path, {"mode": "d", "tooltip": "Folder of the corrections"}],
    model_name: Annotated[str, {"tooltip": "Name of the new model"}],
    start: Annotated[str, {"choices": segmenters, "tooltip": "Model to start from"}] = "stardist",
    plane: Annotated[str, {"tooltip": "A number from 0 for each axis before rows and columns, such as 3 or 0,2"}] = "",
    minutes: Annotated[int, {"min": 1, "max": 1440}] = 30,
) -> None:
    """Add a corrected image to the folder of corrections, and train a model on all of them if they suffice.

    The training runs in a process of its own, as `nucseg train`; notes say when it begins and how it ended.

    Args:
        image: The image layer.
        nuclei: Its nuclei, corrected.
        folder: Gets the files, in the folders `images` and `labels`, and the report of the training.
        model_name: Name of the new model.
        start: Name of the model to start from.
        plane: The plane of both layers.
        minutes: Time for the training.

    Raises:
        InputError: The layers do not fit to each other, or the image is not of 8 or 16 bits.
        StorageError: The files cannot be written.
    """
    count = add_correction(image, nuclei, folder, plane)
    if count < FEWEST:
        _say(f"{folder} has {count} of the {FEWEST} images that a training needs; correct further ones.")
        return
    limit = counted(minutes, "minute")
    _say(f"Training {model_name} on {count} images, for at most {limit}; see {_log(folder, model_name)}.")
    start_training(folder, model_name, start, minutes, _say)


def add_correction(image: "napari.layers.Image", labels: "napari.layers.Labels", folder: Path, plane: str) -> int:
    """Write a plane of an image and its nuclei into the folder of corrections.

    A newer correction of the same image replaces the older one.

    Args:
        image: The image layer; its name becomes that of the files.
        labels: The nuclei.
        folder: The folder.
        plane: The plane, as of `place_of`.

    Returns:
        The number of corrected images there.

    Raises:
        InputError: As `train_on_this`, or another image has this name there.
        StorageError: The files cannot be written.
    """
    place = place_of(image, plane)
    pixels, nuclei = pixels_of(image, place), pixels_of(labels, place_of(labels, plane))
    if pixels.shape[:2] != nuclei.shape:
        raise InputError(f"{labels.name}: is of {nuclei.shape} pixels, and {image.name} of {pixels.shape[:2]}.")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{image.name}: is of the type {pixels.dtype}; convert the layer to 8 or 16 bits (uint8, uint16)."
        )
    pixels = pixels[..., :3] if image.rgb else pixels
    stem = re.sub(r"[^A-Za-z0-9_. -]", "_", "-".join([image.name, *map(str, place)]))
    file = folder / "images" / f"{stem}.tif"
    if file.exists():
        if not np.array_equal(read_image(file), pixels):
            raise InputError(f"{file}: is another image of the same name; rename the layer.")
    else:
        write_image(file, pixels)
    write_labels(folder / "labels" / f"{stem}.tif", nuclei.astype(np.int32))
    return len(list((folder / "labels").glob("*.tif")))


def start_training(folder: Path, name: str, start: str, minutes: int, say: Callable[[str], None]) -> threading.Thread:
    """Start `nucseg train` on the folder of corrections.

    Args:
        folder: The folder.
        name: Name of the new model.
        start: Name of the model to start from.
        minutes: Time for the training.
        say: Called with the last line of its output when it has ended.

    Returns:
        The thread that waits for its end.
    """
    folders = [str(folder / part) for part in ("images", "labels")]
    options = ["--name", name, "--from", start, "--minutes", str(minutes), "-o", str(folder / f"evaluation-{name}")]
    log = _log(folder, name)

    def wait() -> None:
        with log.open("w") as output:
            command = [sys.executable, "-m", "nucseg", "train", *folders, *options]
            status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
        lines = log.read_text(errors="replace").split("\n")
        verdict = [line for line in lines if line.startswith((f"{name} is ", "Error: "))]
        say((verdict or [f"The training of {name} ended with status {status}; see {log}."])[-1])

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def _log(folder: Path, name: str) -> Path:
    return folder / f"training-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.txt"


def _say(text: str) -> None:
    from napari.utils.notifications import show_info

    show_info(text)
