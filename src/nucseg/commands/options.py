"""Options of the command line, made from the fields of a pydantic model."""

import math
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from nucseg.core.validation import plain_words

Command = TypeVar("Command", bound=Callable[..., Any])

_EMPTY = "is empty, perhaps by a variable of the shell that is not set; give the path, or . for the current folder."

_WORDS = {int: "INTEGER", float: "FLOAT", str: "TEXT", Path: "PATH"}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


class OutputPath(click.Path):
    """A path to write to."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse a path that is empty or that no system could find."""
        if value == "":
            self.fail(f"the path {_EMPTY}", param, ctx)
        try:
            Path(value).exists()
        except OSError as error:  # its name is too long, for example
            self.fail(f"{value}: cannot be written ({error.strerror}); choose another path.", param, ctx)
        return super().convert(value, param, ctx)


def check_finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse nan, which click takes for a number of any range, and an endless time; a callback of click."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not allowed; give a number from 1, or leave it out.", ctx, param)
    return value


def check_inputs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty input, which would mean the current folder; a callback of click."""
    if "" in values:
        raise click.BadParameter(f"an input {_EMPTY}", ctx, param)
    return values


def field_options(
    model: type[BaseModel],
    *names: str,
    prefix: str | None = None,
    renamed: dict[str, str] | None = None,
    described: dict[str, str] | None = None,
) -> Callable[[Command], Command]:
    """Add an option for each of these fields; all of them if none is named.

    The model checks the values. The function gets None for an option that was not given, see `given`. A secret gets no
    option, since everyone on the machine would see it.

    Args:
        model: The help shows the descriptions of its fields, their limits and defaults.
        names: Names of fields.
        prefix: Prefix of the environment variables that also set the fields.
        renamed: Names of options that differ from the field's name.
        described: Help of options that means something else than the field's description and default.
    """

    def add(command: Command) -> Command:
        for name in reversed(names or tuple(model.model_fields)):
            field = model.model_fields[name]
            if SecretStr not in _members(field.annotation):
                if described and name in described:
                    field = field.merge_field_infos(field, default=None, description=described[name])
                command = _option(name, field, prefix, (renamed or {}).get(name, name))(command)
        return command

    return add


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Keep the options that were given on the command line."""
    return {name: value for name, value in options.items() if value is not None}


class _Value(click.ParamType):
    """A value that a field allows, or several separated by commas if it takes several."""

    def __init__(self, field: FieldInfo) -> None:
        # The annotation is only known at run time, so mypy does not accept it as a type.
        self._adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]
        self._is_list = get_origin(field.annotation) is tuple
        self.name = _shown(field.annotation)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = [each.strip() for each in value.split(",")] if self._is_list else value
        try:
            return self._adapter.validate_python(text)
        except ValidationError as error:
            self.fail(f"{value!r}: {' or '.join(map(plain_words, error.errors()))}", param, ctx)


def _option(name: str, field: FieldInfo, prefix: str | None, shown: str) -> Callable[[Command], Command]:
    option = f"--{shown.replace('_', '-')}"
    notes = [f"{prefix}{name.upper()}"] if prefix is not None else []
    bounds = [(words, getattr(rule, key, None)) for rule in field.metadata for key, words in _BOUNDS.items()]
    notes += [f"{words} {bound:g}" for words, bound in bounds if bound is not None]
    is_flag = field.annotation is bool
    if not (is_flag and prefix is None) and field.default not in (None, "", ()):
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        notes.append(f"default: {default}")
    note = f" [{'; '.join(notes)}]" if notes else ""
    text = f"{field.description}{note}"
    if is_flag:
        # Only a flag that can also be set elsewhere needs a way to unset it here.
        flags = option if prefix is None else f"{option}/--no-{option[2:]}"
        return click.option(flags, name, is_flag=True, default=None, help=text)
    value = _Value(field)
    return click.option(option, name, type=value, metavar=value.name, default=None, help=text)


def _members(annotation: Any) -> list[Any]:
    """Return the kinds of value that an annotation allows, without None."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [kind for each in get_args(annotation) for kind in _members(each)]
    return [] if annotation is types.NoneType else [annotation]


def _shown(annotation: Any) -> str:
    """Return the placeholder for an option's value in the help."""
    if get_origin(annotation) is tuple:
        return "VALUE,..."
    kinds = _members(annotation)
    words = [word for kind in kinds for word in (get_args(kind) if get_origin(kind) is Literal else [_WORDS[kind]])]
    if "TEXT" in words:  # every other kind is written as text, too
        return "TEXT"
    return words[0] if len(words) == 1 else f"[{'|'.join(words)}]"
