"""`nucseg worker`: predicts the tasks of the server's queue, or of SQS."""

from typing import Any

import click

from nucseg.commands.options import field_options, given
from nucseg.serving.settings import PREFIX, Settings

_SETTINGS = (
    "model",
    "models",
    "precision",
    "debug",
    "database",
    "storage",
    "lease",
    "poll",
    "max_attempts",
    "retry_delay",
    "keep_hours",
    "max_task_pixels",
    "shutdown_timeout",
    "max_decode_mb",
)


@click.command()
@click.option("--sqs", metavar="URL", help="Take object keys from this SQS queue instead of the task table.")
@click.option("--input", "source", metavar="URL", help="Where the images are, such as s3://bucket/images (with --sqs).")
@click.option("--output", "target", metavar="URL", help="Where the masks go, such as s3://bucket/masks (with --sqs).")
@click.option("--own-key", is_flag=True, help="Write only the mask, as PNG under the image's own key (with --sqs).")
@click.option("--until-input-ends", is_flag=True, help="Also stop when standard input is closed.")
@field_options(Settings, *_SETTINGS, prefix=PREFIX)
def worker(
    sqs: str | None, source: str | None, target: str | None, own_key: bool, until_input_ends: bool, **options: Any
) -> None:
    """Predict queued images until SIGTERM; start as many workers as the processors can handle."""
    if bool(sqs) != bool(source) or bool(sqs) != bool(target):
        raise click.UsageError("--sqs, --input and --output must be given together.")
    if own_key and (not sqs or source == target):
        raise click.UsageError("--own-key needs --sqs, and an --output that differs from --input.")
    from nucseg.serving.service import build_sqs_worker, build_worker, set_up_logging
    from nucseg.serving.settings import load_settings
    from nucseg.serving.worker.main import run_until_signalled, stop_event

    settings = load_settings(**given(options))
    set_up_logging(settings)
    if sqs and source and target:
        build_sqs_worker(settings, queue_url=sqs, source=source, target=target, own_key=own_key).run(
            stop_event(until_input_ends=until_input_ends)
        )
    else:
        # Half of the time after which a server ends its workers: the other half is for returning the task.
        patience = settings.shutdown_timeout / 2
        run_until_signalled(build_worker(settings), patience=patience, until_input_ends=until_input_ends)
