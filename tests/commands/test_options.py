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


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "", "-o", "out"],
        ["segment", "a.tif", "", "-o", "out"],
        ["mitoses", "", "-o", "out"],
        *([command, "a.tif", "-o", ""] for command in ("predict", "segment", "mitoses")),
        ["look", ".", "-o", ""],
        ["evaluate", "stardist", ".", ".", "-o", ""],
        ["compare", "stardist", "unet", "-o", ""],
        ["train", ".", ".", "-o", ""],
        ["export", "stardist", "--to", "onnx", "--out", ""],
    ],
)
def test_an_empty_path_is_not_the_current_folder(arguments: list[str]) -> None:
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code == 2
    assert "is empty, perhaps by a variable of the shell that is not set" in ended.output


@pytest.mark.parametrize("size", ["inf", "1e-300", "5000"])
def test_a_pixel_size_that_no_image_has_is_refused(size: str) -> None:
    ended = CliRunner().invoke(cli, ["predict", "a.tif", "-o", "out", "--pixel-size", size])
    assert ended.exit_code == 2
    assert f"'--pixel-size': '{size}': must be" in ended.output


@pytest.mark.parametrize("command", ["predict", "segment", "mitoses"])
@pytest.mark.parametrize(
    "output, code, why",
    [
        ("x" * 256, 2, "cannot be written (File name too long); choose another path."),
        ("new/" + "x" * 256, 1, "the name is too long; choose a shorter one"),
        ("file/out", 1, "a file is in the place of a folder"),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, output: str, code: int, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    ended = CliRunner().invoke(cli, [command, "a.tif", "-o", output, "--model", "none"])
    assert (ended.exit_code, type(ended.exception)) == (code, SystemExit)
    assert why in ended.output
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_deleted_current_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    ended = CliRunner().invoke(cli, ["predict", "a.tif", "-o", "out"])
    assert ended.exit_code == 1
    assert ended.output == "Error: the current folder does not exist any more; change to another one.\n"
