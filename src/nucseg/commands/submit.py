"""`nucseg submit`: a folder of images through SQS and back."""

import sys
from pathlib import Path

import click

from nucseg.commands.options import OutputPath
from nucseg.core.errors import InputError, StorageError

_PROBABLE = 0.5  # probability of a mark


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--sqs", required=True, metavar="URL", help="The SQS queue that `nucseg worker --sqs` reads from.")
@click.option("--input", "source", required=True, metavar="URL", help="The workers' --input, for uploads.")
@click.option("--output", "target", required=True, metavar="URL", help="The workers' --output, for masks.")
@click.option(
    "--download",
    type=OutputPath(file_okay=False, path_type=Path),
    help="Folder for the masks.  [default: FOLDER/masks]",
)
@click.option(
    "--timeout", default=900.0, show_default=True, type=click.FloatRange(0), help="Seconds to wait for the next mask."
)
@click.option("--rows", type=click.IntRange(min=1), help="Rows of the acquisition: number the ablation marks.")
@click.option("--cols", "columns", type=click.IntRange(min=1), help="Columns of the acquisition (with --rows).")
def submit(
    folder: Path,
    sqs: str,
    source: str,
    target: str,
    download: Path | None,
    timeout: float,
    rows: int | None,
    columns: int | None,
) -> None:
    """Upload the images of FOLDER, have the workers predict them, and download the masks.

    Each image is uploaded whole; a worker predicts it tile by tile and stitches the tiles. With --rows and --cols, the
    ablation marks of each mask are then numbered as `nucseg register` does it; the results are in the folder
    `registered` of the masks.
    """
    if (rows is None) != (columns is None):
        raise click.UsageError("--rows and --cols must be given together.")
    from nucseg.serving.errors import UnavailableError
    from nucseg.serving.jobs.storage import Storage
    from nucseg.serving.worker.sqs import sqs_client
    from nucseg.serving.worker.submit import images_in, submit_images

    images, client = images_in(folder), sqs_client()
    masks = download or folder / "masks"
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        missing = submit_images(
            images,
            client=client,
            queue_url=sqs,
            source=Storage(source),
            target=Storage(target),
            folder=masks,
            timeout=timeout,
        )
    except (BotoCoreError, ClientError, OSError, UnavailableError) as error:
        reason = error.cause if isinstance(error, UnavailableError) else error
        raise StorageError(
            f"{folder}: cannot be submitted ({reason}). Check --sqs, --input and --output, the region and credentials."
        ) from error
    unregistered = 0
    if rows is not None and columns is not None:
        fetched = [image for image in images if image not in missing]
        unregistered = sum(not _register(image.name, masks, rows, columns) for image in fetched)
    if missing:
        raise click.ClickException(
            f"{len(missing)} of {len(images)} images did not come back in time; they may be in the dead-letter queue: "
            + ", ".join(image.name for image in missing)
        )
    if unregistered:
        sys.exit(1)


def _register(name: str, masks: Path, rows: int, columns: int) -> bool:
    """Number the marks of a fetched mask; return False, and say why, if that fails."""
    from nucseg.commands.register import report
    from nucseg.registration.register import register_file
    from nucseg.serving.worker.sqs import MASK

    try:
        found, files = register_file(
            masks / f"{name}.{MASK}", rows, columns, masks / "registered", _PROBABLE, stem=name
        )
    except InputError as error:
        click.echo(f"Failed: {error}", err=True)
        return False
    report(found, rows, columns, files)
    return True
