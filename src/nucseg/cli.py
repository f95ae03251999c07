"""The command line beside `kedro run`: `nucseg predict` and the other commands of `nucseg.commands`."""

import logging
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from tqdm.contrib.logging import logging_redirect_tqdm

from nucseg.core.errors import NucsegError
from nucseg.core.package import VERSION
from nucseg.models.tensorflow_import import prepare_tensorflow

COMMANDS = (
    "predict",
    "refine",
    "look",
    "mitoses",
    "segment",
    "register",
    "serve",
    "worker",
    "submit",
    "models",
    "evaluate",
    "compare",
    "train",
    "train-areas",
    "export",
    "doctor",
)
"""Each is the function of its name (with `_` for `-`) in the module of its name in `nucseg.commands`."""


class _Group(click.Group):
    """Imports a command when it is used, and shows an error that the user can fix as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        return getattr(import_module(f"nucseg.commands.{name}"), name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            Path.cwd()
        except FileNotFoundError:
            raise click.ClickException("the current folder does not exist any more; change to another one.") from None
        try:
            return super().invoke(ctx)
        except NucsegError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION)
def cli() -> None:
    """Find every nucleus in a microscopy image."""


def main() -> None:
    """Run the command line with log lines on standard error."""
    prepare_tensorflow(lean=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with logging_redirect_tqdm():  # a message does not end up in the middle of a progress bar
        cli()
