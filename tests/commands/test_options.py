"""Options made from the fields of a model: no option of `nucseg predict` is listed twice."""

from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel, Field, SecretStr

from nucseg.cli import cli
from nucseg.commands.options import field_options, given
from nucseg.reporting.options import BatchOptions


class _Fields(BaseModel):
    size: int | None = Field(None, ge=2, description="Size of it.")
    how: Literal["auto"] | float = Field("auto", description="Factor.")
    names: tuple[str, ...] = Field(("a", "b"), min_length=1, description="Its names.")
    place: Path | None = Field(None, description="Where it is.")
    loud: bool = Field(False, description="Tell more.")
    key: SecretStr | None = Field(None, description="Nobody sees it.")


def answer(*arguments: str, **how: Any) -> Any:
    """Return what a command with the options of `_Fields` was given, or what it printed."""
    found = []

    @click.command()
    @field_options(_Fields, **how)
    def command(**options: Any) -> None:
        found.append(given(options))

    ended = CliRunner().invoke(command, arguments, terminal_width=200)
    return found[0] if found else ended.output


def test_the_command_gets_what_was_given_as_the_model_takes_it() -> None:
    assert answer() == {}
    assert answer("--size", "3", "--how", "0.5", "--names", "x, y", "--place", "here", "--loud") == {
        "size": 3,
        "how": 0.5,
        "names": ("x", "y"),
        "place": Path("here"),
        "loud": True,
    }
    assert answer("--how", "auto", "--name", "x", renamed={"names": "name"}) == {"how": "auto", "names": ("x",)}


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--size", "1"], "Invalid value for '--size': '1': must be greater than or equal to 2"),
        (["--size", "x"], "Invalid value for '--size': 'x': must be a whole number"),
        (["--how", "x"], "Invalid value for '--how': 'x': must be 'auto' or must be a number"),
        (["--key", "x"], "No such option"),
        (["--no-loud"], "No such option"),
    ],
)
def test_what_the_model_refuses_is_reported_with_the_name_of_the_option(arguments: list[str], said: str) -> None:
    assert said in answer(*arguments)


def test_the_help_is_made_from_the_fields() -> None:
    shown = " ".join(answer("--help").split())
    assert "--size INTEGER Size of it. [at least 2]" in shown
    assert "--how [auto|FLOAT] Factor. [default: auto]" in shown
    assert "--names VALUE,... Its names. [default: a,b]" in shown
    assert "--place PATH Where it is. " in shown
    assert "--loud Tell more. " in shown
    shown = " ".join(answer("--help", prefix="APP_").split())
    assert "--size INTEGER Size of it. [APP_SIZE; at least 2]" in shown
    assert "--loud / --no-loud Tell more. [APP_LOUD; default: False]" in shown


def test_every_field_is_an_option_of_predict() -> None:
    shown = CliRunner().invoke(cli, ["predict", "--help"], terminal_width=200).output
    for name, field in BatchOptions.model_fields.items():
        option = {"formats": "format"}.get(name, name)
        assert f"--{option.replace('_', '-')}" in shown
        assert str(field.description) in " ".join(shown.split())
