"""`nucseg submit`: a folder of images through SQS and back."""

from pathlib import Path

import click

from nucseg.core.errors import StorageError


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--sqs", required=True, metavar="URL", help="The SQS queue that `nucseg worker --sqs` reads from.")
@click.option("--input", "source", required=True, metavar="URL", help="The workers' --input, for uploads.")
@click.option("--output", "target", required=True, metavar="URL", help="The workers' --output, for masks.")
@click.option(
    "--download",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the masks.  [default: FOLDER/masks]",
)
@click.option(
    "--timeout", default=900.0, show_default=True, type=click.FloatRange(0), help="Seconds to wait for the next mask."
)
def submit(folder: Path, sqs: str, source: str, target: str, download: Path | None, timeout: float) -> None:
    """Upload the images of FOLDER, have the workers predict them, and download the masks."""
    from nucseg.serving.errors import UnavailableError
    from nucseg.serving.jobs.storage import Storage
    from nucseg.serving.worker.sqs import sqs_client
    from nucseg.serving.worker.submit import images_in, submit_images

    images, client = images_in(folder), sqs_client()
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        missing = submit_images(
            images,
            client=client,
            queue_url=sqs,
            source=Storage(source),
            target=Storage(target),
            folder=download or folder / "masks",
            timeout=timeout,
        )
    except (BotoCoreError, ClientError, OSError, UnavailableError) as error:
        reason = error.cause if isinstance(error, UnavailableError) else error
        raise StorageError(
            f"{folder}: cannot be submitted ({reason}). Check --sqs, --input and --output, the region and credentials."
        ) from error
    if missing:
        raise click.ClickException(
            f"{len(missing)} of {len(images)} images did not come back in time; they may be in the dead-letter queue: "
            + ", ".join(image.name for image in missing)
        )
