import re
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="module")
def instructions(root: Path) -> list[str]:
    text = (root / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def services(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "docker-compose.yml").read_text())["services"]


def test_the_base_image_is_an_argument_of_every_stage(instructions: list[str]) -> None:
    stages = [line for line in instructions if line.startswith("FROM")]

    assert instructions[0].startswith("ARG BASE_IMAGE=")
    assert len(stages) > 1
    assert all(line.split()[1] == "${BASE_IMAGE}" for line in stages)


def test_runs_as_an_ordinary_user(instructions: list[str]) -> None:
    last_stage = instructions[max(i for i, line in enumerate(instructions) if line.startswith("FROM")) :]
    users = [line.split()[1] for line in last_stage if line.startswith("USER")]

    assert users
    assert users[-1] not in {"root", "0"}


def test_installs_the_versions_of_the_lock_file(instructions: list[str]) -> None:
    installing = [line for line in instructions if "pip install" in line]

    assert "--constraint requirements.lock" in installing[0]
    assert all("--constraint requirements.lock" in line or "--no-deps" in line for line in installing)


def test_copied_files_reach_the_build(root: Path, instructions: list[str]) -> None:
    allowed = re.findall(r"^!(.+)$", (root / ".dockerignore").read_text(), re.MULTILINE)
    copied = [line.split()[1:-1] for line in instructions if line.startswith("COPY") and "--from" not in line]

    for source in {name for names in copied for name in names} - {"."}:
        assert (root / source).exists()
        assert any(source == name or source.startswith(f"{name}/") for name in allowed), source


def test_the_extras_of_the_image_exist(root: Path, instructions: list[str], pyproject: dict[str, Any]) -> None:
    wanted = re.findall(r"EXTRAS[=:] ?([a-z,]+)", (root / "Dockerfile").read_text())
    wanted += re.findall(r"EXTRAS[=:] ?([a-z,]+)", (root / "docker-compose.yml").read_text())

    assert wanted
    assert {each for names in wanted for each in names.split(",")} <= set(pyproject["project"]["optional-dependencies"])


def test_compose_gives_the_gpu_and_the_project(services: dict[str, Any]) -> None:
    segmentation = services["segmentation"]
    (device,) = segmentation["deploy"]["resources"]["reservations"]["devices"]

    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]
    assert ".:/app" in segmentation["volumes"]


def test_compose_knows_a_processor_profile_and_viz(services: dict[str, Any]) -> None:
    assert services["segmentation-cpu"]["profiles"] == ["cpu"]
    assert "deploy" not in services["segmentation-cpu"]
    assert "kedro viz" in services["viz"]["command"]
