"""The settings as options of the command line."""

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from nucseg.serving.settings import PREFIX, Settings

Command = TypeVar("Command", bound=Callable[..., Any])

COMMON = ("model", "models", "precision", "debug")
QUEUE = (
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


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Add an option for each of these settings; all of them where none is named.

    The function gets those that were given; the others come from environment and `.env`.
    """

    def add(command: Command) -> Command:
        for name in reversed(names or tuple(Settings.model_fields)):
            command = _option(name, Settings.model_fields[name])(command)
        return command

    return add


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given on the command line."""
    return {name: value for name, value in options.items() if value is not None}


def _option(name: str, field: FieldInfo) -> Callable[[Command], Command]:
    kind = _without_none(field.annotation)
    # A secret on the command line would be seen by everyone on the machine.
    if kind is SecretStr:
        return lambda command: command
    help_text = f"{field.description} [{PREFIX}{name.upper()}; default: {field.default}]"
    option = f"--{name.replace('_', '-')}"
    if kind is bool:
        return click.option(f"{option}/--no-{option[2:]}", name, default=None, help=help_text)
    shown = click.Choice(get_args(kind)) if get_origin(kind) is Literal else kind
    return click.option(
        option, name, default=None, type=click.Path(path_type=Path) if kind is Path else shown, help=help_text
    )


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = [each for each in get_args(annotation) if each is not types.NoneType]
    return annotation
