from pathlib import Path

import pytest

from nucseg.config_loader import ConfigLoader
from nucseg.settings import CONFIG_LOADER_ARGS

FILES = {
    "base/parameters.yml": "training: {epochs: 400, rate: 1, balance: [a, b]}",
    "base/catalog.yml": "report: {type: text.TextDataset, filepath: '${globals:data}/report.html'}",
    "base/globals.yml": "data: data",
    "cpu/parameters.yml": "training: {epochs: 3}",
    "demo/parameters.yml": "training: {epochs: 2}",
    "local/parameters/mine.yml": "training: {rate: 5, balance: [c]}",
    "local/globals.yml": "data: elsewhere",
}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def load(conf: Path, env: str | None, **runtime: object) -> ConfigLoader:
    return ConfigLoader(str(conf), env, {"training": runtime} if runtime else {}, **CONFIG_LOADER_ARGS)  # type: ignore


@pytest.mark.parametrize(
    "env, epochs, rate, balance, data",
    [
        ("cpu", 3, 5, ["c"], "elsewhere"),
        (None, 400, 5, ["c"], "elsewhere"),
        ("demo", 2, 1, ["a", "b"], "data"),  # the demonstration is the same for everybody
        ("base", 400, 1, ["a", "b"], "data"),
    ],
)
def test_local_counts_beside_every_environment_but_the_demo(
    conf: Path, env: str | None, epochs: int, rate: int, balance: list[str], data: str
) -> None:
    loader = load(conf, env)
    assert loader["parameters"]["training"] == {"epochs": epochs, "rate": rate, "balance": balance}
    assert loader["catalog"]["report"]["filepath"] == f"{data}/report.html"
    assert (loader.environments[-1] == "local") == (rate == 5)


def test_the_command_line_counts_last(conf: Path) -> None:
    assert load(conf, "cpu", rate=7)["parameters"]["training"] == {"epochs": 3, "rate": 7, "balance": ["c"]}


def test_without_the_folder_nothing_is_added(conf: Path) -> None:
    for file in sorted((conf / "local").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (conf / "local").rmdir()
    assert load(conf, "cpu")["parameters"]["training"]["rate"] == 1


def test_what_is_set_by_hand_stays(conf: Path) -> None:
    loader = load(conf, "cpu")
    loader["parameters"] = {"training": {}}
    assert loader["parameters"] == {"training": {}}
