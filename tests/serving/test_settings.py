"""Options, environment and `.env`, in this order."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from nucseg.cli import cli
from nucseg.core.errors import ConfigError, InputError, ModelError
from nucseg.serving.errors import NoRoomError
from nucseg.serving.jobs.storage import Storage
from nucseg.serving.service import build_service
from nucseg.serving.settings import Settings, load_settings


def test_an_option_goes_before_a_variable_before_the_file(tmp_path, monkeypatch) -> None:
    assert load_settings().port == 5000
    (tmp_path / ".env").write_text("NUCSEG_PORT=1\nNUCSEG_MODEL=file\nNUCSEG_THREADS=3\nOTHER=x\n")
    monkeypatch.setenv("NUCSEG_PORT", "2")
    monkeypatch.setenv("NUCSEG_MODEL", "variable")
    settings = load_settings(port=3)
    assert (settings.port, settings.model, settings.threads) == (3, "variable", 3)


def test_pages_of_all_origins_as_the_max_services_allow_them(monkeypatch) -> None:
    for value, origins in (("true", "*"), ("false", ""), ("1", "")):
        monkeypatch.setenv("CORS_ENABLE", value)
        assert load_settings().cors_origins == origins
    monkeypatch.setenv("CORS_ENABLE", "true")
    assert load_settings(cors_origins="http://a").cors_origins == "http://a"
    assert load_settings().environment()["NUCSEG_CORS_ORIGINS"] == "*"


def test_wrong_values_are_named_and_secrets_are_not_told(monkeypatch) -> None:
    monkeypatch.setenv("NUCSEG_PORT", "high")
    monkeypatch.setenv("NUCSEG_API_KEY", "secret")
    with pytest.raises(ConfigError, match="NUCSEG_PORT") as raised:
        load_settings(lease=0)
    assert "NUCSEG_LEASE" in str(raised.value)
    assert "secret" not in str(raised.value)
    monkeypatch.delenv("NUCSEG_PORT")
    assert "secret" not in repr(load_settings())


def test_other_processes_get_the_same_settings(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NUCSEG_API_KEY", "secret")
    (tmp_path / ".env").write_text("NUCSEG_KEEP_HOURS=7\n")
    settings = load_settings(models=tmp_path, debug=True, lease=3)
    assert os.environ["NUCSEG_MODELS"] == str(tmp_path)
    environment = settings.environment()
    for name in list(os.environ):
        if name.startswith("NUCSEG_"):
            monkeypatch.delenv(name)
    (tmp_path / ".env").unlink()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_every_setting_is_an_option_but_the_secret() -> None:
    shown = CliRunner().invoke(cli, ["serve", "--help"], terminal_width=200).output
    for name, field in Settings.model_fields.items():
        assert f"NUCSEG_{name.upper()}" in shown
        assert (f"--{name.replace('_', '-')}" in shown) == (name != "api_key")
        assert field.description


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["serve", "--model", "nosuchmodel"], "nosuchmodel"),
        (["worker", "--model", "nosuchmodel"], "nosuchmodel"),
        (["serve", "--port", "70000"], "Invalid value for '--port': '70000': must be less than or equal to 65535"),
        (["serve", "--precision", "half"], "bfloat16"),
        (["worker", "--database", "mysql://x"], "postgresql"),
    ],
)
def test_the_commands_say_what_is_wrong(arguments, said, model_folder) -> None:
    if "--model" not in arguments:
        arguments = [*arguments, "--model", str(model_folder)]
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code != 0
    assert said in ended.output
    assert "Traceback" not in ended.output


def test_help_needs_no_web_framework_and_no_tensorflow(printed_alone) -> None:
    program = (
        "import sys\nfrom click.testing import CliRunner\nfrom nucseg.cli import cli\n"
        "assert 'serve' in CliRunner().invoke(cli, ['--help']).output\n"
        "print(*{'tensorflow', 'fastapi', 'sqlalchemy', 'boto3', 'uvicorn'} & set(sys.modules))"
    )
    assert printed_alone(program) == []


def test_a_service_without_its_model_does_not_start(settings) -> None:
    with pytest.raises(ModelError):
        build_service(settings(model="nosuchmodel"))


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a\\b", "a\0b", "."])
def test_the_storage_takes_no_paths(tmp_path, key) -> None:
    with pytest.raises(InputError, match="key"):
        Storage(str(tmp_path)).exists(key)


def test_a_folder_shows_whole_files_only(tmp_path, monkeypatch) -> None:
    storage = Storage(str(tmp_path / "files"))
    source = tmp_path / "source"
    source.write_bytes(b"whole")

    def half(source: Path, target: Path) -> None:
        target.write_bytes(b"wh")
        assert not storage.exists("a/b")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(NoRoomError, match="full"):
        storage.put(source, "a/b")
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    monkeypatch.undo()
    storage.put(source, "a/b")
    assert b"".join(storage.open("a/b")[0]) == b"whole"


def test_an_empty_key_is_no_key(monkeypatch) -> None:
    monkeypatch.setenv("NUCSEG_API_KEY", "")
    with pytest.raises(ConfigError, match="NUCSEG_API_KEY"):
        load_settings()


def test_other_storages_are_refused() -> None:
    with pytest.raises(ConfigError, match="storage"):
        Storage("nosuch://place")
