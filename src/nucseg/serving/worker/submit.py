"""Sending a folder of images through SQS and fetching the masks."""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nucseg.core.errors import InputError
from nucseg.core.files import atomic_file
from nucseg.serving.jobs.storage import Storage
from nucseg.serving.worker.sqs import result_names

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def images_in(folder: Path) -> list[Path]:
    """List the images of a folder, without subfolders.

    Raises:
        InputError: There is none.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{folder}: contains no image; allowed are {', '.join(sorted(SUFFIXES))}.")
    return found


def submit_images(
    images: Sequence[Path],
    *,
    client: Any,
    queue_url: str,
    source: Storage,
    target: Storage,
    folder: Path,
    timeout: float,
    pause: float = 2,
) -> list[Path]:
    """Upload images, enqueue them, wait for their masks and download them.

    Args:
        images: Files of different names.
        client: boto3's SQS client.
        queue_url: The queue that workers empty.
        source: Storage from which the workers read images.
        target: Storage to which they write masks.
        folder: Folder for the masks and what else the workers write, `<image>.<name of the format>`.
        timeout: Seconds to wait for the next missing mask.
        pause: Seconds between two checks.

    Returns:
        The images without masks; they may be in the dead-letter queue.
    """
    # Only masks of this submission count, not those of an earlier one.
    prefix = uuid.uuid4().hex
    for image in tqdm(images, desc="upload", unit="image"):
        source.put(image, f"{prefix}/{image.name}")
        client.send_message(QueueUrl=queue_url, MessageBody=f"{prefix}/{image.name}")
    missing = list(images)
    last = time.monotonic()
    with tqdm(total=len(images), desc="predict", unit="image") as bar:
        while missing and time.monotonic() - last < timeout:
            for image in list(missing):
                names = [f"{image.name}.{name}" for name in result_names()]
                if not target.exists(f"{prefix}/{names[-1]}"):
                    continue
                for name in names:
                    if target.exists(f"{prefix}/{name}"):
                        with atomic_file(folder / name) as temporary:
                            target.get(f"{prefix}/{name}", temporary)
                missing.remove(image)
                last = time.monotonic()
                bar.update()
            if missing:
                time.sleep(pause)
    return missing
